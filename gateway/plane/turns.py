"""One response of a live session: to the ledger a call of its own, held for before and settled after. Knows nothing of sockets."""

from typing import cast
from urllib.parse import quote

from msgspec import structs

from billing.money import TOKENS_PER_RATE
from billing.receipts import Charge, Progress, encode
from gateway.errors import BadRequest, DependencyUnavailable, NoSuchModel, Refusal
from gateway.plane.plan import BLOCK_TOKENS
from gateway.plane.plan import plan as make_plan
from gateway.plane.pools import Exchange, Pool
from gateway.plane.relay import Reply
from gateway.plane.send import Sender, Sent
from gateway.plane.serve import PROGRESS_S
from gateway.plane.settle import cost
from gateway.plane.snapshot import Snapshot
from gateway.plane.telling import VendorError
from gateway.plane.walk import Corridor, Tried
from gateway.terms import Attempt, Call, Caller, Deployment, Headers, Usage
from gateway.wire.lines import lines
from gateway.wire.live import NOTHING, Live, Said, Weight


class Turn(Tried):
    """A response and what the caller says before it.

    `history_tokens` is the conversation so far, which every response is billed for anew. `given` and `made` weigh what was said since, `late` what of
    it came after the response had begun. `has_begun` is whether there is a response.
    """

    __slots__ = ("_held_in_tokens", "_held_out_tokens", "_input_rate_nanousd", "_live", "_told", "given", "has_begun", "history_tokens", "late", "made")

    def __init__(self, corridor: Corridor, live: Live, call: Call, caller: Caller, history_tokens: int = 0, told: Headers = ()) -> None:
        """`told` are headers for the vendor's handshake."""
        held_for = structs.replace(call, most_input_tokens=history_tokens + BLOCK_TOKENS, max_output_tokens=BLOCK_TOKENS)
        # a turn says nothing to its caller: its session does
        super().__init__(corridor, held_for, caller, cast(Reply, None), corridor.clock())
        self._live, self._told, self.history_tokens = live, told, history_tokens
        self.given = self.made = self.late = NOTHING
        self.has_begun = False
        self._held_in_tokens = self._held_out_tokens = BLOCK_TOKENS
        self._input_rate_nanousd = 0

    # ---- before -----------------------------------------------------------------------------------------------------

    async def open(self, snapshot: Snapshot, sender: Sender, deployment: str = "") -> None:
        """Plan the turn, at one deployment if its id is given, and hold what it may cost. Raises Refusal."""
        corridor = self._corridor
        plan = make_plan(self.call, self.caller, snapshot, corridor.draw)
        reached = sender.reaching(plan.deployments, self.call.endpoint)
        if not reached:
            raise BadRequest(f"The provider of this model does not serve /{self.call.endpoint}. Choose another model.", param="model")
        if deployment:
            reached = tuple(one for one in reached if one.id == deployment)
            if not reached:
                raise NoSuchModel("The model is not served any more where this session is. Connect again.", param="model")
        self.plan = structs.replace(plan, deployments=reached)
        prices = [one.price for one in reached if one.price is not None]
        self._input_rate_nanousd = max((snapshot.dearest[price.id][0] for price in prices), default=0)
        board = self._board = corridor.holds.board(self.call, self.caller, snapshot.rules)
        if board.slices:
            await self._take(board)

    async def send(self, sender: Sender) -> Sent[Exchange]:
        """Connect to the first deployment that can serve. Raises what `Sender.send` raises."""
        assert self.plan is not None
        return await sender.send(self.plan.deployments, self, self._shaken, self.attempts, self.call.timeout_ms)

    async def _shaken(self, exchange: Exchange, pool: Pool, deployment: Deployment) -> Exchange:
        return exchange

    def prepare(self, deployment: Deployment, pool: Pool) -> tuple[bytes, bytes]:
        """Return the head of a handshake, after its intent is in the journal. Raises JournalBroken."""
        self._intend(deployment, pool)
        path = pool.provider.path(self.call.endpoint, deployment.upstream_model, pool.account.options, True)
        if self._live.read_setup is None:
            path += f"{'&' if '?' in path else '?'}model={quote(deployment.upstream_model, safe='')}"
        return pool.raw_head("GET", path) + lines(self._told), b""

    def broken(self, deployment: Deployment, pool: Pool, exchange: Exchange | None, outcome: str) -> Charge | None:
        """Return nothing: a handshake costs nothing."""
        return None

    def go_on(self, pool: Pool) -> None:
        """Begin a turn of a session that is connected. Raises JournalBroken."""
        assert self.plan is not None
        deployment = self.plan.deployments[0]
        self.attempts.append(Attempt(deployment=deployment.slug, account=deployment.account, outcome="ok", status=200, elapsed_ms=0))
        self._intend(deployment, pool)

    def head(self, sent: Sent[Exchange]) -> bytes:
        """Return the headers a caller is told who is let in, as lines."""
        self.answered_at = self._corridor.clock()
        return self._head(sent)

    # ---- meanwhile --------------------------------------------------------------------------------------------------

    def add(self, given: Weight, made: Weight) -> bool:
        """Count what was said; return whether what is held covers it."""
        self.given += given
        self.made += made
        if self.has_begun:
            self.late += given
        return self._hold is None or (self.given.most_tokens <= self._held_in_tokens and self.made.most_tokens <= self._held_out_tokens)

    async def cover(self) -> None:
        """Hold more, in whole blocks, for what was said. Raises OverBudget, TooFast, DependencyUnavailable."""
        hold, plan = self._hold, self.plan
        if hold is None or plan is None:
            return
        more_in, more_out = (blocks(said.most_tokens - held) for said, held in ((self.given, self._held_in_tokens), (self.made, self._held_out_tokens)))
        if not more_in and not more_out:
            return
        money = -(-(more_in * self._input_rate_nanousd + more_out * plan.output_rate_nanousd) // TOKENS_PER_RATE)
        try:
            await self._corridor.holds.extend(hold, money, more_in + more_out)
        except DependencyUnavailable:
            if self.caller.project.without_authority != "open":
                raise
            self._is_unheld = True
        self._held_in_tokens += more_in
        self._held_out_tokens += more_out

    def begin(self) -> None:
        """Note that the vendor has begun to respond: from here on it costs."""
        if not self.has_begun:
            self.has_begun = self._served = True
            self.first_byte_at = self._progress_at = self._corridor.clock()
            self._write_progress()

    def note_progress(self) -> None:
        """Journal every few seconds how far a response has come."""
        if self.has_begun and self._corridor.clock() - self._progress_at >= PROGRESS_S:
            self._progress_at = self._corridor.clock()
            self._write_progress()

    def _write_progress(self) -> None:
        if self.deployment is None:
            return
        so_far, corridor = self._estimate(), self._corridor
        cost_nanousd, at_ms = cost(self.deployment.price, so_far), int(corridor.wall() * 1000)
        corridor.journal.append(
            encode(Progress(call_id=self.call.id, at_ms=at_ms, input_tokens=so_far.input_tokens, output_tokens=so_far.output_tokens, cost_nanousd=cost_nanousd))
        )

    def _estimate(self) -> Usage:
        return Usage(
            input_tokens=self.history_tokens + self.given.tokens,
            audio_input_tokens=self.given.audio_tokens,
            output_tokens=self.made.tokens,
            audio_output_tokens=self.made.audio_tokens,
        )

    # ---- after ------------------------------------------------------------------------------------------------------

    def finish(self, said: Said) -> int:
        """Settle a response that has ended; return how long the conversation is from now on, in tokens."""
        self._served = said.usage is not None or not (said.has_failed and not self.made.tokens)
        self.usage, self.problem = said.usage, said.problem
        if said.has_failed:
            self.status, self.outcome, self.error_code = 502, "failed", "upstream_error"
        self.settle()
        usage = self.usage
        told_tokens = usage.input_tokens + usage.output_tokens if usage is not None else self.history_tokens + self.given.tokens + self.made.tokens
        return told_tokens + self.late.most_tokens

    def settle(self) -> None:
        """Write the receipt, once: a response that was cut is estimated, a turn without one costs nothing."""
        if not self.settled and self.usage is None and self._served:
            self.partial, self.problem = self._estimate(), self.problem or "usage_missing"
        super().settle()

    def refuse(self, refusal: Refusal) -> None:
        """Note why the turn ends."""
        self.status, self.error_code = refusal.status, refusal.code
        self.outcome = "failed" if self.attempts else "refused"

    def refuse_as_vendor(self, refusal: VendorError) -> None:
        """Note that the vendor refused; a vendor's code may repeat what was said, so the record has our own word."""
        self.status, self.outcome, self.error_code = refusal.status, "refused", "vendor_refused"

    def abort(self) -> None:
        """Note that the caller left, if a response was under way."""
        if self.has_begun:
            self.status, self.outcome, self.error_code = 499, "aborted", "client_closed_request"

    def run_over(self, sent: Sent[Exchange], said: Said) -> None:
        """Note that the vendor has made what nothing is held for: it is billed all the same."""
        self.deployment = self.plan.deployments[0] if self.plan is not None else sent.deployment
        self.provider = sent.pool.provider.slug
        self.made, self.usage, self.problem = said.weight, said.usage, said.problem
        self._is_unheld = self.has_begun = self._served = True


def blocks(tokens: int) -> int:
    """Return tokens in whole blocks, none for none."""
    return -(-max(0, tokens) // BLOCK_TOKENS) * BLOCK_TOKENS
