"""The accounts app."""

from typing import Any

from django.apps import AppConfig, apps


class AccountsConfig(AppConfig):
    """People, business units, projects and keys."""

    name = "accounts"
    verbose_name = "People and projects"

    def ready(self) -> None:
        """Have every change of people, projects, keys, channels and requests recorded, and every sign-in; register what can be asked for."""
        from accounts import access_grants, acts, grants, groups, leavers, models, sessions, webhooks  # needs the models, which exist only now
        from accounts.audit.record import LISTENERS
        from accounts.audit.watch import watch

        watch(models.User, "user", "usr", secret=("password", "break_glass_digest"), ignored=("last_login",))
        watch(models.BusinessUnit, "business-unit", "bu")
        watch(models.Project, "project", "prj")
        watch(models.Membership, "membership", "mbr")
        credential: dict[str, Any] = {"secret": ("digest", "previous_digest"), "ignored": models.USE_FIELDS, "number": "public_id"}
        watch(models.VirtualKey, "key", "key", **credential)
        watch(models.ServiceAccount, "service-account", "sa", **credential)
        watch(models.PersonalToken, "personal-token", "pt", **credential)
        watch(models.CredentialPolicy, "credential-policy", "cpo")
        watch(models.NotificationChannel, "notification-channel", "nch", secret=("sealed_secret",), ignored=("checked_at", "check_result"))
        guessed = ("throttling_failure_timestamp", "throttling_failure_count", "last_used_at")
        watch(models.Authenticator, "authenticator", "otp", secret=("sealed_secret",), ignored=("last_step", *guessed))
        watch(models.BackupCodes, "backup-codes", "bkp", ignored=guessed)
        watch(models.GrantRequest, "request", "", secret=("sealed_parameters",), number="shown_id")
        watch(models.ApprovalStep, "approval-step", "aps", ignored=("remind_at", "escalate_at"))
        watch(models.Decision, "decision", "dec")
        watch(models.ApprovalRule, "approval-rule", "apr")
        watch(models.RuleStep, "rule-step", "rst")
        watch(models.Delegation, "delegation", "dlg")
        watch(models.UsePolicy, "use-policy", "aup")
        watch(models.Acceptance, "acceptance", "acc")
        for grant in (*access_grants.GRANTS, *acts.ACTS):
            grants.register(grant)
        watch(models.OidcIdentity, "identity", "idt", ignored=("groups", "last_sign_in_at"))
        watch(models.GroupMapping, "group-mapping", "gmp")
        watch(models.DirectoryPerson, "directory-person", "dpr", ignored=("updated_at",))
        watch(models.ScimToken, "scim-token", "sct", **credential)
        watch(models.DirectoryGroup, "directory-group", "dgr", ignored=("updated_at",))
        leavers.FOLLOWERS.append(groups.apply_groups)
        sessions.listen()
        LISTENERS.append(webhooks.tell)
        if apps.is_installed("django_otp_webauthn"):  # only where there are screens
            from accounts.signin import lockout

            passkey = apps.get_model("django_otp_webauthn", "WebAuthnCredential")
            watch(passkey, "passkey", "psk", secret=("public_key", "credential_id"), ignored=("sign_count", "backup_state", "last_used_at"))
            lockout.listen()
