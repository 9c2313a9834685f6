"""Takes what a call may cost and how fast it may come before it is made, from leases in memory. Knows no database and no upstream.

What a worker holds of a window is a slice. A call is admitted when every slice above it has enough; then all are taken in one step of the loop.
Only a slice that runs short asks the authority, once for all who wait.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from math import ceil

from billing.holds import Authority, Grant, Span, Want, span_of
from gateway.errors import DependencyUnavailable, OverBudget, Refusal, TooFast
from gateway.terms import Call, Caller, Rules

MONEY, TOKENS, CALLS = 0, 1, 2
KIND_OF_UNIT = {"nanousd": MONEY, "tokens": TOKENS, "calls": CALLS}
KIND_OF_LIMIT = {"rpm": CALLS, "tpm": TOKENS, "spend": MONEY, "parallel": CALLS}
WORDS = {"rpm": "calls per minute", "tpm": "tokens per minute", "spend": "spend per minute", "parallel": "calls at once"}
NAMES = (("rpm", b"requests"), ("tpm", b"tokens"))
TOLD = b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %d\r\nx-ratelimit-reset-%b: %ds\r\n"
NOW = Span("now", 0, 0)
# A lease is asked for with this many calls' worth to spare; the authority gives less near a window's end. A worker that asks again
# within a second asks for twice as much, and from then on before it has run out: one that is busy asks about once a second.
SPARE_CALLS, MOST_SPARE_CALLS = 32, 1 << 20
ASKS_APART_S = 1.0
IDLE_S = 15.0
# How long a call waits for an answer: a recall among hosts takes up to a second.
ANSWER_S, LOST_S = 4.0, 0.2
MOST_BOARDS = 20_000
SUBJECT_CHARACTERS = 16


class Slice:
    """What this worker holds of one window and has not yet promised to a call; figures of the window are as of the last answer."""

    __slots__ = (
        "asked", "asked_at", "budget", "closes_at_s", "ended", "free", "held", "kind", "least", "limit", "low", "opens_at_s", "owner", "spare_calls", "spent",
        "subject", "used_at", "what", "window",
    )  # fmt: skip

    def __init__(self, window: str, owner: str, subject: str, span: Span, kind: int, what: str, limit: int) -> None:
        self.window, self.owner, self.subject, self.kind, self.what, self.limit = window, owner, subject, kind, what, limit
        self.opens_at_s, self.closes_at_s = span.opens_at_s, span.closes_at_s
        self.free = self.spent = self.held = self.least = self.low = 0
        self.spare_calls = SPARE_CALLS
        self.used_at = self.asked_at = 0.0
        self.asked: asyncio.Future[Grant] | None = None
        self.budget = owner[0] == "b"
        # nothing was granted since the authority was told that nothing is held here
        self.ended = True

    @property
    def left(self) -> int:
        """Return what may still be promised here as far as this worker knows."""
        return max(0, self.limit - self.spent - self.held + self.free)


class Board:
    """The slices one caller's calls are held against until the first of their windows closes; `windows` are those of budgets, soft ones too.

    `money`, `tokens` and `calls` are the same slices by what they count, `told` the minute's limits by the name callers read.
    """

    __slots__ = ("calls", "has_budget", "in_flight", "is_replaced", "money", "slices", "tokens", "told", "until_s", "was_used", "windows")

    def __init__(self, slices: tuple[Slice, ...], windows: str, until_s: float) -> None:
        self.slices, self.windows, self.until_s = slices, windows, until_s
        self.money, self.tokens, self.calls = (tuple(piece for piece in slices if piece.kind == kind) for kind in (MONEY, TOKENS, CALLS))
        by_name = {name: tuple(piece for piece in slices if piece.what == what and not piece.budget) for what, name in NAMES}
        self.told = tuple((name, pieces) for name, pieces in by_name.items() if pieces)
        self.has_budget = any(piece.budget for piece in slices)
        self.in_flight = 0
        self.was_used = self.is_replaced = False


NO_BOARD = Board((), "", float("inf"))
NO_AMOUNTS = (0, 0, 0)


class Hold:
    """What one call has taken: `amounts` in nano-USD, tokens and calls, the same in every slice of its board."""

    __slots__ = ("amounts", "board")

    def __init__(self, board: Board, amounts: tuple[int, int, int]) -> None:
        self.board, self.amounts = board, amounts


class Holds:
    """All slices of one worker; `clock` gives monotonic seconds."""

    def __init__(self, authority: Authority, clock: Callable[[], float]) -> None:
        self._authority, self._clock = authority, clock
        self._slices: dict[str, Slice] = {}
        self._boards: dict[tuple[str, str, str], Board] = {}
        # boards that others have replaced while calls are still held against them
        self._leaving: list[Board] = []
        self._rules: Rules | None = None

    @property
    def reachable(self) -> bool:
        """Whether budgets can be asked."""
        return self._authority.reachable

    # ---- a call -----------------------------------------------------------------------------------------------------

    def board(self, call: Call, caller: Caller, rules: Rules) -> Board:
        """Return what this call is held against."""
        if rules is not self._rules:
            self._rules = rules
            self._retire()
        if not rules.budgets and not rules.limits:
            return NO_BOARD
        name = (caller.key.id, call.end_user, call.session)
        board = self._boards.get(name)
        if board is None or board.until_s <= self._authority.now_s():
            if board is not None:
                self._leave([board])
            if len(self._boards) >= MOST_BOARDS:
                self._retire()
            board = self._boards[name] = self._lay(call, caller, rules)
        return board

    def try_take(self, board: Board, money: int, tokens: int) -> Hold | None:
        """Return the hold if every slice has enough right now, else None with nothing taken."""
        for piece in board.money:
            if piece.free < money:
                return None
        for piece in board.tokens:
            if piece.free < tokens:
                return None
        for piece in board.calls:
            if piece.free < 1:
                return None
        is_low = False
        for piece in board.money:
            piece.free -= money
            if piece.free < piece.low:
                is_low = True
        for piece in board.tokens:
            piece.free -= tokens
            if piece.free < piece.low:
                is_low = True
        for piece in board.calls:
            piece.free -= 1
            if piece.free < piece.low:
                is_low = True
        board.in_flight += 1
        board.was_used = True
        if is_low:
            self._refill(board, (money, tokens, 1))
        return Hold(board, (money, tokens, 1))

    async def take(self, board: Board, money: int, tokens: int) -> Hold:
        """Return the hold, asking the authority where a slice runs short. Raises OverBudget, TooFast, DependencyUnavailable."""
        while (hold := self.try_take(board, money, tokens)) is None:
            await self._top_up(board.slices, (money, tokens, 1))
        if board.is_replaced and board.in_flight == 1:
            # it was forgotten while this call waited
            self._leaving.append(board)
        return hold

    async def extend(self, hold: Hold, money: int, tokens: int) -> None:
        """Hold more for a call under way. Raises as `take`, with nothing more taken."""
        more = (money, tokens, 0)
        budgets = [piece for piece in hold.board.slices if piece.kind != CALLS]
        while any(piece.free < more[piece.kind] for piece in budgets):
            await self._top_up(budgets, more)
        for piece in budgets:
            piece.free -= more[piece.kind]
        hold.amounts = (hold.amounts[0] + money, hold.amounts[1] + tokens, 1)

    def settle(self, hold: Hold, money: int, tokens: int) -> None:
        """End a hold: what was not used is free again. A minute's call stays counted; a vendor's excess eats into what is free."""
        board, held = hold.board, hold.amounts
        spare_money, spare_tokens = held[0] - money, held[1] - tokens
        for piece in board.money:
            piece.free += spare_money
        for piece in board.tokens:
            piece.free += spare_tokens
        for piece in board.calls:
            if piece.what == "parallel":
                piece.free += 1
        board.in_flight -= 1

    def lasting(self, board: Board, money: int, tokens: int) -> tuple[Want, ...]:
        """Return what to ask the budgets above a batch for: what it may cost, held beyond this worker's life, and nothing to spare."""
        amounts = (money, tokens, 0)
        wanted = [(piece, amounts[piece.kind]) for piece in board.slices if piece.budget and amounts[piece.kind]]
        return tuple([Want(p.window, p.owner, p.subject, p.opens_at_s, p.closes_at_s, amount, amount, amount) for p, amount in wanted])

    def refusal(self, board: Board, grants: Iterable[Grant]) -> Refusal | None:
        """Return why a batch is not taken whose budgets gave this, None when all gave."""
        pieces = {piece.window: piece for piece in board.slices}
        refused = [grant for grant in grants if not grant.amount]
        return refusal_of(pieces[refused[0].window], refused[0], self._authority.now_s()) if refused else None

    def left(self, board: Board) -> tuple[int | None, int | None]:
        """Return what the tightest budgets have left in nano-USD and in tokens as of their last answers, None where there is none."""
        left: dict[int, int] = {}
        for piece in board.slices:
            if piece.budget:
                left[piece.kind] = min(piece.left, left.get(piece.kind, piece.left))
        return left.get(MONEY), left.get(TOKENS)

    def head(self, board: Board) -> bytes:
        """Return OpenAI's rate-limit headers, as lines, for the tightest limits above a call, as far as this worker knows."""
        told = b""
        reset_s = max(0, ceil(board.until_s - self._authority.now_s()))
        for name, pieces in board.told:
            tightest = pieces[0] if len(pieces) == 1 else min(pieces, key=left_of)
            told += TOLD % (name, tightest.limit, name, tightest.left, name, reset_s)
        return told

    # ---- the authority ----------------------------------------------------------------------------------------------

    def granted(self, grants: Iterable[Grant]) -> None:
        """Take in an answer, also one that nobody waits for any more."""
        for grant in grants:
            piece = self._slices.get(grant.window)
            if piece is None:
                if grant.amount:
                    self._authority.give_back({grant.window: grant.amount})
                continue
            piece.free += grant.amount
            if grant.amount:
                piece.ended = False
            else:
                piece.low = 0
            if grant.reason != "unreachable":
                piece.limit, piece.spent, piece.held = grant.limit, grant.spent, grant.held
            asked, piece.asked = piece.asked, None
            if asked is not None and not asked.done():
                asked.set_result(grant)

    def recalled(self, windows: Iterable[str]) -> None:
        """Give back at once what is idle of these windows; what a call here is waiting to add to is not."""
        found = [self._slices[name] for name in windows if name in self._slices]
        self._authority.give_back(self._idle([piece for piece in found if piece.asked is None or not piece.least]))

    def retime(self) -> None:
        """Look anew which windows are open: the clock was found to be another one."""
        self._retire()

    def tick(self, *, is_journalled: bool = True) -> None:
        """Once a second: give back what nobody used for a while, and forget windows that have closed.

        Unless `is_journalled`, receipts of calls that ended wait for the journal, and their leases must not be ended.
        """
        now, now_s = self._clock(), self._authority.now_s()
        self._leaving = [board for board in self._leaving if board.in_flight]
        boards = [*self._boards.values(), *self._leaving]
        busy = {piece.window for board in boards if board.in_flight for piece in board.slices}
        used = busy | {piece.window for board in self._boards.values() if board.was_used for piece in board.slices}
        for board in self._boards.values():
            board.was_used = False
        self._leave([board for board in self._boards.values() if not board.in_flight and board.until_s <= now_s])
        self._boards = {name: board for name, board in self._boards.items() if not board.is_replaced}
        closed = [p for p in self._slices.values() if p.closes_at_s and p.closes_at_s <= now_s and p.window not in busy and p.asked is None]
        for piece in self._slices.values():
            if piece.window in used:
                piece.used_at = now
        idle = [piece for piece in self._slices.values() if now - piece.used_at > IDLE_S]
        resting = {piece.window: piece for piece in [*closed, *idle]}
        back = self._idle(resting.values())
        ends = self._end(piece for name, piece in resting.items() if name not in busy) if is_journalled else ()
        for piece in closed:
            del self._slices[piece.window]
        if back or ends:
            self._authority.give_back(back, ends)

    def drain(self) -> None:
        """Give back everything that is not promised to a call."""
        back = self._idle(self._slices.values())
        if back:
            self._authority.give_back(back)

    def _retire(self) -> None:
        """Forget all boards; those with calls under way are remembered until these end."""
        self._leave(self._boards.values())
        self._boards = {}

    def _leave(self, boards: Iterable[Board]) -> None:
        for board in boards:
            board.is_replaced = True
            if board.in_flight:
                self._leaving.append(board)

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _idle(self, slices: Iterable[Slice]) -> dict[str, int]:
        back = {}
        for piece in slices:
            # a minute's limit counts what was taken: what comes back was never used
            if piece.free > 0:
                back[piece.window], piece.free = piece.free, 0
        return back

    def _end(self, slices: Iterable[Slice]) -> tuple[str, ...]:
        """Return the windows of these slices of which nothing is held any more; what a vendor billed too much is spent, not owed.

        A minute's limit is not ended: what was taken of it stays counted.
        """
        ended = [piece for piece in slices if not piece.ended and piece.asked is None and (piece.budget or not piece.closes_at_s)]
        for piece in ended:
            piece.ended, piece.free = True, 0
        return tuple(piece.window for piece in ended)

    def _lay(self, call: Call, caller: Caller, rules: Rules) -> Board:
        """Make a caller's board from the rules above it, nearest first."""
        now_s = self._authority.now_s()
        slices: list[Slice] = []
        windows: list[str] = []
        until_s = float("inf")
        scopes = (f"key:{caller.key.id}", f"project:{caller.project.id}", *(f"unit:{unit}" for unit in caller.project.business_units))
        for scope in scopes:
            for budget in rules.budgets.get(scope, ()):
                subject = {"session": call.session, "end_user": call.end_user}.get(budget.per, "")
                if budget.per and not subject:
                    continue
                span = span_of(budget.period, now_s, budget.starts_at_s, budget.ends_at_s)
                until_s = min(until_s, span.closes_at_s or until_s, span.opens_at_s if span.opens_at_s > now_s else until_s)
                if span.opens_at_s > now_s or 0 < span.closes_at_s <= now_s:
                    continue
                window = f"{budget.id}:{fingerprint(subject)}:{span.label}" if subject else f"{budget.id}:{span.label}"
                windows.append(window)
                if budget.mode == "hard":
                    slices.append(self._slice(window, f"b:{budget.id}", subject, span, KIND_OF_UNIT[budget.unit], budget.name, 0))
            for limit in rules.limits.get(scope, ()):
                span = NOW if limit.kind == "parallel" else span_of("minute", now_s)
                until_s = min(until_s, span.closes_at_s or until_s)
                window = f"{limit.id}:{span.label}"
                slices.append(self._slice(window, f"l:{limit.id}", "", span, KIND_OF_LIMIT[limit.kind], limit.kind, limit.amount))
        return Board(tuple(slices), " ".join(windows), until_s)

    def _slice(self, window: str, owner: str, subject: str, span: Span, kind: int, what: str, limit: int) -> Slice:
        piece = self._slices.get(window)
        if piece is None:
            piece = self._slices[window] = Slice(window, owner, subject, span, kind, what, limit)
            piece.used_at = self._clock()
        return piece

    def _refill(self, board: Board, amounts: tuple[int, int, int]) -> None:
        """Ask ahead of need for slices that are used up fast."""
        wants = [self._want(piece, 0, amounts[piece.kind]) for piece in board.slices if piece.free < piece.low and piece.asked is None]
        if wants:
            self._authority.ask(tuple(wants))

    def _want(self, piece: Slice, least: int, need: int) -> Want:
        """Return a question for a slice, larger the sooner it comes after the one before."""
        now = self._clock()
        if now - piece.asked_at < ASKS_APART_S:
            piece.spare_calls = min(piece.spare_calls * 2, MOST_SPARE_CALLS)
        elif now - piece.asked_at > 4 * ASKS_APART_S:
            piece.spare_calls = max(piece.spare_calls // 2, SPARE_CALLS)
        piece.asked_at = now
        wish = need * piece.spare_calls
        piece.asked, piece.least = asyncio.get_running_loop().create_future(), least
        piece.low = wish // 2 if piece.spare_calls > SPARE_CALLS else 0
        return Want(piece.window, piece.owner, piece.subject, piece.opens_at_s, piece.closes_at_s, least, max(least, wish), need)

    async def _top_up(self, slices: Iterable[Slice], amounts: tuple[int, int, int]) -> None:
        """Ask for what is short, once for all who wait; raises the refusal if this call's share was refused."""
        short = [(piece, amounts[piece.kind]) for piece in slices if piece.free < amounts[piece.kind]]
        wants = []
        for piece, need in short:
            if piece.asked is None:
                wants.append(self._want(piece, need - piece.free, need))
        waiting = [(piece, need, piece.asked, piece.least) for piece, need in short if piece.asked is not None]
        if wants:
            self._authority.ask(tuple(wants))
        for piece, need, asked, least in waiting:
            try:
                async with asyncio.timeout(ANSWER_S if self._authority.reachable else LOST_S):
                    grant = await asyncio.shield(asked)
            except TimeoutError:
                # the question stands: its answer is taken in whenever it comes
                raise refusal_of(piece, Grant(piece.window, 0, 0, 0, 0, "unreachable"), 0) from None
            if not grant.amount and piece.free < need and 0 < least <= need:
                raise refusal_of(piece, grant, self._authority.now_s())


def left_of(piece: Slice) -> int:
    """Return what a slice's window has left."""
    return piece.left


def refusal_of(piece: Slice, grant: Grant, now_s: float) -> Refusal:
    """Return what a caller is told when a window gives nothing."""
    if grant.reason == "unreachable":
        return DependencyUnavailable("Budgets cannot be asked at the moment and nothing is left of what this gateway held. Try again.", retry_after_s=1)
    resets_at_s = piece.closes_at_s or None
    if not piece.budget:
        wait_s = max(1, ceil(piece.closes_at_s - now_s)) if piece.closes_at_s else 1
        most = grant.limit or piece.limit
        told = {"limit": piece.what, "limit_amount": most, "resets_at": resets_at_s}
        return TooFast(f"The limit of {most} {WORDS[piece.what]} is reached. Try again in {wait_s} s.", retry_after_s=wait_s, detail=told)
    detail = {
        "reason": grant.reason, "budget": f"bud_{piece.owner[2:]}", "name": piece.what, "unit": "usd" if piece.kind == MONEY else "tokens",
        "limit": shown(piece, grant.limit), "spent": shown(piece, grant.spent), "held": shown(piece, grant.held), "resets_at": resets_at_s,
    }  # fmt: skip
    return OverBudget(piece.what, grant.reason, detail)


def shown(piece: Slice, amount: int) -> str:
    """Return an amount as callers read it: dollars as a decimal number, tokens as they are."""
    if piece.kind != MONEY:
        return str(amount)
    usd, rest = divmod(amount, 1_000_000_000)
    return f"{usd}.{rest:09d}"


def fingerprint(subject: str) -> str:
    """Return a session or end user as it stands in a window's id."""
    return hashlib.sha256(subject.encode("utf-8", "replace")).hexdigest()[:SUBJECT_CHARACTERS]
