"""How people sign in: password, second factor, passkey or provider; what a session may do before it is strong; how it ends."""

from accounts.signin.enter import How, is_strong, sign_in, sign_out

__all__ = ["How", "is_strong", "sign_in", "sign_out"]
