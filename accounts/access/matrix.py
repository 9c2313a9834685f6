"""Who may do what, on every route of the API, the portal and the admin. The product obeys these tables, and the suite runs every line of them.

A cell says which objects a role may do it to:
    all      every one there is
    here     those of the unit or project the role is held in, and of everything below it
    below    only what lies below it: nobody changes what binds themselves
    mine     those in it that are one's own, outside prod
    own      one's own, wherever they are
    named    those the object itself names, such as an approver; the resource decides
    -        none
A role that may read no object of a kind gets an empty list; an object one may not read is not found (404); one that may be read but not
changed is refused (403). `anyone` is every signed-in person. A service account stands where the owner of its project, the manager of its
unit, or for the platform an IT administrator stands; it and a personal token also need the scope, `resource:read` or `resource:write`, and
it takes no route of PEOPLE_ONLY.
"""

from typing import NamedTuple

ROLES = ("it_admin", "security_officer", "finance", "auditor", "manager", "unit_viewer", "owner", "developer", "project_viewer", "anyone")
CELLS = frozenset({"all", "here", "below", "mine", "own", "named", "-"})
# Routes of the API that are open to everybody.
PUBLIC = ("POST leaked-keys", "POST approvals/external/{id}")
# Resources that need no scope: what one is, and one's own tokens, which a token never makes.
UNSCOPED = frozenset({"me", "personal-tokens"})

# Routes only people take: a program is refused, whatever its scopes.
PEOPLE_ONLY = frozenset({
    "POST alerts/{id}/acknowledge", "POST prices/{id}/approve", "POST prices/{id}/reject", "POST prices/{id}/withdraw",
    "POST reports", "POST providers/{id}/verify", "POST providers/{id}/renew-verification",
})  # fmt: skip

API = """
                                             platform                | business unit  | project                   |
method route                                 it   sec  fin  aud      | manager viewer | owner developer viewer    | anyone

GET    me                                    all  all  all  all      | all     all    | all   all       all       | all

GET    personal-tokens                       all  all  -    all      | -       -      | -     -         -         | own
POST   personal-tokens                       -    -    -    -        | -       -      | -     -         -         | own
GET    personal-tokens/{id}                  all  all  -    all      | -       -      | -     -         -         | own
POST   personal-tokens/{id}/revoke           all  all  -    -        | -       -      | -     -         -         | own

GET    business-units                        all  all  all  all      | here    here   | -     -         -         | -
POST   business-units                        all  -    -    -        | here    -      | -     -         -         | -
GET    business-units/{id}                   all  all  all  all      | here    here   | -     -         -         | -
PATCH  business-units/{id}                   all  -    -    -        | below   -      | -     -         -         | -

GET    projects                              all  all  all  all      | here    here   | here  here      here      | -
POST   projects                              all  -    -    -        | here    -      | -     -         -         | -
GET    projects/{id}                         all  all  all  all      | here    here   | here  here      here      | -
PATCH  projects/{id}                         all  -    -    -        | here    -      | here  -         -         | -
POST   projects/{id}/suspend                 all  all  -    -        | here    -      | -     -         -         | -
POST   projects/{id}/resume                  all  all  -    -        | here    -      | -     -         -         | -

GET    memberships                           all  all  all  all      | here    here   | here  here      here      | own
POST   memberships                           all  -    -    -        | here    -      | here  -         -         | -
GET    memberships/{id}                      all  all  all  all      | here    here   | here  here      here      | own
PATCH  memberships/{id}                      all  -    -    -        | here    -      | here  -         -         | -
DELETE memberships/{id}                      all  -    -    -        | here    -      | here  -         -         | -

GET    service-accounts                      all  all  all  all      | here    here   | here  here      here      | -
POST   service-accounts                      all  -    -    -        | here    -      | here  -         -         | -
GET    service-accounts/{id}                 all  all  all  all      | here    here   | here  here      here      | -
PATCH  service-accounts/{id}                 all  -    -    -        | here    -      | here  -         -         | -
POST   service-accounts/{id}/rotate          all  -    -    -        | here    -      | here  -         -         | -
POST   service-accounts/{id}/end-overlap     all  all  -    -        | here    -      | here  -         -         | -
POST   service-accounts/{id}/suspend         all  all  -    -        | here    -      | here  -         -         | -
POST   service-accounts/{id}/resume          all  all  -    -        | here    -      | here  -         -         | -
POST   service-accounts/{id}/revoke          all  all  -    -        | here    -      | here  -         -         | -

GET    keys                                  all  all  all  all      | here    here   | here  here      here      | -
POST   keys                                  all  -    -    -        | here    -      | here  mine      -         | -
GET    keys/{id}                             all  all  all  all      | here    here   | here  here      here      | -
PATCH  keys/{id}                             all  -    -    -        | here    -      | here  mine      -         | -
POST   keys/{id}/rotate                      all  -    -    -        | here    -      | here  mine      -         | -
POST   keys/{id}/end-overlap                 all  all  -    -        | here    -      | here  mine      -         | -
POST   keys/{id}/suspend                     all  all  -    -        | here    -      | here  mine      -         | -
POST   keys/{id}/resume                      all  all  -    -        | here    -      | here  mine      -         | -
POST   keys/{id}/revoke                      all  all  -    -        | here    -      | here  mine      -         | -

GET    budgets                               all  all  all  all      | here    here   | here  here      here      | -
POST   budgets                               all  -    all  -        | below   -      | below -         -         | -
GET    budgets/{id}                          all  all  all  all      | here    here   | here  here      here      | -
PATCH  budgets/{id}                          all  -    all  -        | below   -      | below -         -         | -
POST   budgets/{id}/freeze                   all  -    all  -        | below   -      | below -         -         | -
POST   budgets/{id}/unfreeze                 all  -    all  -        | below   -      | below -         -         | -
POST   budgets/{id}/raise                    all  -    all  -        | below   -      | below -         -         | -
POST   budgets/{id}/archive                  all  -    all  -        | below   -      | below -         -         | -

GET    limits                                all  all  all  all      | here    here   | here  here      here      | -
POST   limits                                all  -    all  -        | below   -      | below -         -         | -
GET    limits/{id}                           all  all  all  all      | here    here   | here  here      here      | -
PATCH  limits/{id}                           all  -    all  -        | below   -      | below -         -         | -
DELETE limits/{id}                           all  -    all  -        | below   -      | below -         -         | -

GET    credit-accounts                       all  all  all  all      | here    here   | here  here      here      | -
POST   credit-accounts                       all  -    all  -        | -       -      | -     -         -         | -
GET    credit-accounts/{id}                  all  all  all  all      | here    here   | here  here      here      | -
PATCH  credit-accounts/{id}                  all  -    all  -        | -       -      | -     -         -         | -
POST   credit-accounts/{id}/grant            all  -    all  -        | -       -      | -     -         -         | -
POST   credit-accounts/{id}/move             all  -    all  -        | -       -      | -     -         -         | -
POST   credit-accounts/{id}/freeze           all  -    all  -        | below   -      | -     -         -         | -
POST   credit-accounts/{id}/unfreeze         all  -    all  -        | below   -      | -     -         -         | -

GET    calls                                 all  all  all  all      | here    here   | here  here      here      | -
GET    calls/{id}                            all  all  all  all      | here    here   | here  here      here      | -

GET    alerts                                all  all  all  all      | here    here   | here  here      here      | -
GET    alerts/{id}                           all  all  all  all      | here    here   | here  here      here      | -
POST   alerts/{id}/acknowledge               all  all  all  -        | here    -      | here  -         -         | -

GET    usage                                 all  all  all  all      | here    here   | here  here      here      | -

GET    reports                               all  all  all  all      | here    here   | -     -         -         | -
POST   reports                               all  -    all  -        | -       -      | -     -         -         | -
GET    reports/{id}                          all  all  all  all      | here    here   | -     -         -         | -
GET    reports/{id}/file                     all  all  all  all      | here    here   | -     -         -         | -
GET    reports/forecast                      all  all  all  all      | here    here   | here  here      here      | -
GET    reports/anomalies                     all  all  all  all      | here    here   | here  here      here      | -

GET    exports                               own  own  own  own      | own     own    | own   own       own       | -
POST   exports                               own  own  own  own      | own     own    | own   own       own       | -
GET    exports/{id}                          own  own  own  own      | own     own    | own   own       own       | -
DELETE exports/{id}                          own  own  own  own      | own     own    | own   own       own       | -
GET    exports/{id}/file                     own  own  own  own      | own     own    | own   own       own       | -

GET    audit-events                          all  all  all  all      | here    -      | here  -         -         | -
GET    audit-events/{id}                     all  all  all  all      | here    -      | here  -         -         | -
GET    audit-events/verify                   all  all  all  all      | -       -      | -     -         -         | -
GET    audit-events/export                   all  all  all  all      | here    -      | here  -         -         | -

GET    webhooks                              all  all  all  all      | here    -      | here  -         -         | -
POST   webhooks                              all  -    -    -        | here    -      | here  -         -         | -
GET    webhooks/{id}                         all  all  all  all      | here    -      | here  -         -         | -
PATCH  webhooks/{id}                         all  -    -    -        | here    -      | here  -         -         | -
DELETE webhooks/{id}                         all  -    -    -        | here    -      | here  -         -         | -
POST   webhooks/{id}/test                    all  -    -    -        | here    -      | here  -         -         | -
POST   webhooks/{id}/rotate                  all  -    -    -        | here    -      | here  -         -         | -
GET    webhooks/{id}/deliveries              all  all  all  all      | here    -      | here  -         -         | -
POST   webhooks/{id}/resend                  all  -    -    -        | here    -      | here  -         -         | -

GET    notification-channels                 all  all  all  all      | here    -      | here  -         -         | -
POST   notification-channels                 all  -    -    -        | here    -      | here  -         -         | -
GET    notification-channels/{id}            all  all  all  all      | here    -      | here  -         -         | -
PATCH  notification-channels/{id}            all  -    -    -        | here    -      | here  -         -         | -
DELETE notification-channels/{id}            all  -    -    -        | here    -      | here  -         -         | -
POST   notification-channels/{id}/test       all  -    -    -        | here    -      | here  -         -         | -

GET    providers                             all  all  all  all      | -       -      | -     -         -         | -
POST   providers                             all  -    -    -        | -       -      | -     -         -         | -
GET    providers/{id}                        all  all  all  all      | -       -      | -     -         -         | -
PATCH  providers/{id}                        all  -    -    -        | -       -      | -     -         -         | -
DELETE providers/{id}                        all  -    -    -        | -       -      | -     -         -         | -
POST   providers/{id}/test                   all  -    -    -        | -       -      | -     -         -         | -
POST   providers/{id}/add-models             all  -    -    -        | -       -      | -     -         -         | -
POST   providers/{id}/activate               all  -    -    -        | -       -      | -     -         -         | -
POST   providers/{id}/drain                  all  all  -    -        | -       -      | -     -         -         | -
POST   providers/{id}/disable                all  all  -    -        | -       -      | -     -         -         | -
POST   providers/{id}/verify                 all  -    -    -        | -       -      | -     -         -         | -
POST   providers/{id}/renew-verification     all  -    -    -        | -       -      | -     -         -         | -

GET    models                                all  all  all  all      | all     all    | all   all       all       | all
POST   models                                all  -    -    -        | -       -      | -     -         -         | -
GET    models/{id}                           all  all  all  all      | all     all    | all   all       all       | all
PATCH  models/{id}                           all  -    -    -        | -       -      | -     -         -         | -
DELETE models/{id}                           all  -    -    -        | -       -      | -     -         -         | -
POST   models/{id}/approve                   all  -    -    -        | -       -      | -     -         -         | -
POST   models/{id}/decline                   all  -    -    -        | -       -      | -     -         -         | -

GET    deployments                           all  all  all  all      | -       -      | -     -         -         | -
POST   deployments                           all  -    -    -        | -       -      | -     -         -         | -
GET    deployments/{id}                      all  all  all  all      | -       -      | -     -         -         | -
PATCH  deployments/{id}                      all  -    -    -        | -       -      | -     -         -         | -
DELETE deployments/{id}                      all  -    -    -        | -       -      | -     -         -         | -
POST   deployments/{id}/activate             all  -    -    -        | -       -      | -     -         -         | -
POST   deployments/{id}/drain                all  all  -    -        | -       -      | -     -         -         | -
POST   deployments/{id}/disable              all  all  -    -        | -       -      | -     -         -         | -

GET    prices                                all  all  all  all      | -       -      | -     -         -         | -
POST   prices                                all  -    all  -        | -       -      | -     -         -         | -
GET    prices/{id}                           all  all  all  all      | -       -      | -     -         -         | -
POST   prices/{id}/approve                   all  -    all  -        | -       -      | -     -         -         | -
POST   prices/{id}/reject                    all  -    all  -        | -       -      | -     -         -         | -
POST   prices/{id}/withdraw                  all  -    all  -        | -       -      | -     -         -         | -

GET    config                                all  all  all  all      | -       -      | -     -         -         | -
POST   config/plan                           all  -    -    -        | -       -      | -     -         -         | -
POST   config/apply                          all  -    -    -        | -       -      | -     -         -         | -

GET    credit-requests                       all  all  all  all      | here    -      | here  -         -         | named
POST   credit-requests                       named -    -    -        | named   -      | named -         -         | named
GET    credit-requests/{id}                  all  all  all  all      | here    -      | here  -         -         | named
PATCH  credit-requests/{id}                  named -    -    -        | named   -      | named -         -         | named
POST   credit-requests/{id}/approve          named -    -    -        | named   -      | named -         -         | named
POST   credit-requests/{id}/deny             named -    -    -        | named   -      | named -         -         | named
POST   credit-requests/{id}/ask              named -    -    -        | named   -      | named -         -         | named
POST   credit-requests/{id}/comment          named -    -    -        | named   -      | named -         -         | named
POST   credit-requests/{id}/withdraw         named -    -    -        | named   -      | named -         -         | named
POST   credit-requests/{id}/revoke           named -    -    -        | named   -      | named -         -         | named

GET    access-requests                       all  all  all  all      | here    -      | here  -         -         | named
POST   access-requests                       named -    -    -        | named   -      | named -         -         | named
GET    access-requests/{id}                  all  all  all  all      | here    -      | here  -         -         | named
PATCH  access-requests/{id}                  named -    -    -        | named   -      | named -         -         | named
POST   access-requests/{id}/approve          named -    -    -        | named   -      | named -         -         | named
POST   access-requests/{id}/deny             named -    -    -        | named   -      | named -         -         | named
POST   access-requests/{id}/ask              named -    -    -        | named   -      | named -         -         | named
POST   access-requests/{id}/comment          named -    -    -        | named   -      | named -         -         | named
POST   access-requests/{id}/withdraw         named -    -    -        | named   -      | named -         -         | named
POST   access-requests/{id}/revoke           named -    -    -        | named   -      | named -         -         | named

GET    approvals                             named named named named  | named   named  | named named     named     | named
GET    approvals/{id}                        named named named named  | named   named  | named named     named     | named
POST   approvals/{id}/approve                named named named named  | named   named  | named named     named     | named
POST   approvals/{id}/deny                   named named named named  | named   named  | named named     named     | named
POST   approvals/{id}/ask                    named named named named  | named   named  | named named     named     | named
POST   approvals/{id}/comment                named named named named  | named   named  | named named     named     | named
POST   approvals/{id}/withdraw               named named named named  | named   named  | named named     named     | named
POST   approvals/{id}/revoke                 named named named named  | named   named  | named named     named     | named

GET    approval-rules                        all  all  all  all      | -       -      | -     -         -         | -
POST   approval-rules                        all  -    -    -        | -       -      | -     -         -         | -
GET    approval-rules/{id}                   all  all  all  all      | -       -      | -     -         -         | -
PATCH  approval-rules/{id}                   all  -    -    -        | -       -      | -     -         -         | -
DELETE approval-rules/{id}                   all  -    -    -        | -       -      | -     -         -         | -
"""

# Which fields of a body only some roles may write; every other field of the resource is open to whoever may write the object.
FIELDS = """
method route                    field           roles
PATCH  projects/{id}            business_unit   it_admin manager
PATCH  projects/{id}            environment     it_admin manager
POST   service-accounts         owner           it_admin manager
PATCH  service-accounts/{id}    owner           it_admin manager
"""

# Pages of the portal: `everybody` may be a stranger, `anyone` is signed in and sees there what the API would show them.
PORTAL = {
    "": "anyone",
    "onboarding": "anyone",
    "keys": "anyone",
    "tokens": "anyone",
    "tokens/<str:public_id>/revoke": "anyone",
    "requests": "anyone",
    "requests/new/<str:kind>": "anyone",
    "requests/<str:public_id>": "anyone",
    "requests/<str:public_id>/edit": "anyone",
    "requests/<str:public_id>/<str:verb>": "anyone",
    "approvals": "anyone",
    "approvals/away": "anyone",
    "approvals/away/<str:public_id>/end": "anyone",
    "approvals/<str:public_id>": "anyone",
    "approvals/by-mail/<str:token>/<str:verdict>": "anyone",
    "keys/new": "anyone",
    "keys/<str:public_id>": "anyone",
    "keys/<str:public_id>/edit": "anyone",
    "keys/<str:public_id>/<str:verb>": "anyone",
    "login": "everybody",
    "login/code": "everybody",
    "login/confirm": "anyone",
    "login/passkey": "everybody",
    "login/passkey/done": "everybody",
    "login/forgotten": "everybody",
    "login/new-password/<str:token>": "everybody",
    "login/break-glass/<str:token>": "everybody",
    "logout": "everybody",
    "acceptable-use": "anyone",
    "account": "anyone",
    "account/password": "anyone",
    "account/mail": "anyone",
    "account/authenticator": "anyone",
    "account/authenticator/remove": "anyone",
    "account/backup-codes": "anyone",
    "account/passkeys/new": "anyone",
    "account/passkeys/begin": "anyone",
    "account/passkeys/done": "anyone",
    "account/passkeys/<int:number>/rename": "anyone",
    "account/passkeys/<int:number>/remove": "anyone",
    "account/sessions/others/end": "anyone",
    "account/sessions/<str:session>/end": "anyone",
    "oidc/start": "everybody",
    "oidc/callback": "everybody",
    "oidc/leave": "everybody",
    "oidc/left": "everybody",
}

# Pages of the portal about one object, and the route of the API whose answer decides who they open to; `{verb}` is the page's own last word. A page shows
# nothing the route would not, and may show less: tokens and away times are one's own alone.
PORTAL_OBJECTS: dict[str, dict[str, str]] = {
    "keys/<str:public_id>": {"GET": "GET keys/{id}"},
    "keys/<str:public_id>/edit": {"GET": "PATCH keys/{id}", "POST": "PATCH keys/{id}"},
    "keys/<str:public_id>/<str:verb>": {"POST": "POST keys/{id}/{verb}"},
    "tokens/<str:public_id>/revoke": {"POST": "POST personal-tokens/{id}/revoke"},
    "requests/<str:public_id>": {"GET": "GET credit-requests/{id}"},
    "requests/<str:public_id>/edit": {"GET": "PATCH credit-requests/{id}", "POST": "PATCH credit-requests/{id}"},
    "requests/<str:public_id>/<str:verb>": {"POST": "POST approvals/{id}/{verb}"},
    "approvals/<str:public_id>": {"GET": "GET approvals/{id}"},
    "approvals/away/<str:public_id>/end": {},
}

# Rows in the admin by app: the platform roles that read them, and those that write them, where the table below says nothing else.
_PLATFORM = ("it_admin", "security_officer", "finance", "auditor")
ADMIN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "accounts": (_PLATFORM, ("it_admin",)),
    "billing": (_PLATFORM, ("it_admin", "finance")),
    "gateway": (_PLATFORM, ("it_admin",)),
    "django_celery_beat": (_PLATFORM, ("it_admin",)),
}
# Every page of rows in the admin: i it_admin, s security_officer, f finance, a auditor. Acts are bulk actions and pages that do something to chosen
# rows; where the rows themselves say who may (a request, a delegation), everybody named here may try. More pages stand with who opens them.
ADMIN_PAGES = """
rows                                  read  add   change delete acts  more pages

accounts.approvalrule                 isfa  i     i      i      i     preview=isfa
accounts.auditanchor                  isfa  -     -      -      -
accounts.auditevent                   isfa  -     -      -      -
accounts.businessunit                 isfa  i     i      i      -
accounts.credentialpolicy             isfa  -     i      -      -
accounts.delegation                   isfa  isfa  -      -      isfa
accounts.directorygroup               isfa  -     -      -      -
accounts.directoryperson              isfa  -     -      -      -
accounts.grantrequest                 isfa  -     -      -      isfa
accounts.groupmapping                 isfa  i     -      i      -
accounts.notificationchannel          isfa  i     i      i      i
accounts.oidcidentity                 isfa  i     -      i      -
accounts.outboxmessage                isfa  -     -      -      i
accounts.project                      isfa  i     i      i      i
accounts.scimtoken                    isfa  i     i      -      i
accounts.serviceaccount               isfa  i     i      -      i
accounts.usepolicy                    isfa  i     -      -      -
accounts.user                         isfa  i     i      -      i
accounts.virtualkey                   isfa  i     i      -      i

billing.alertevent                    isfa  -     -      -      if
billing.budget                        isfa  if    if     -      if
billing.budgetchange                  isfa  -     -      -      -
billing.creditaccount                 isfa  if    if     -      if
billing.dayrollup                     isfa  -     -      -      -     focus=isfa
billing.disputedhold                  isfa  -     -      -      if
billing.entry                         isfa  -     -      -      -
billing.lease                         isfa  -     -      -      -
billing.limit                         isfa  if    if     -      if
billing.posting                       isfa  -     -      -      -
billing.price                         isfa  if    -      -      if    compare=isfa
billing.quarantinedreceipt            isfa  -     -      -      if
billing.reconciliationimport          isfa  if    -      -      -
billing.statement                     isfa  if    -      -      -     pdf=isfa xlsx=isfa csv=isfa
billing.usagerecord                   isfa  -     -      -      -
billing.window                        isfa  -     -      -      -

gateway.batch                         isfa  -     -      -      -
gateway.model                         isfa  i     i      i      i
gateway.provideraccount               isfa  i     i      i      i     connection=i
gateway.responseretention             isfa  i     i      -      -

django_celery_beat.periodictask       isfa  -     -      -      i
"""
# Pages of the admin that belong to no rows.
ADMIN_FRAME = frozenset({
    "", "login/", "logout/", "password_change/", "password_change/done/", "autocomplete/", "jsi18n/", "search/", "toggle-sidebar/",
    "r/<path:content_type_id>/<path:object_id>/", "^(?P<app_label>accounts|billing|gateway|django_celery_beat)/$", "(?P<url>.*)$",
})  # fmt: skip


class Route(NamedTuple):
    """One line: a method and path below /api/v1/, and the cell of each role."""

    method: str
    path: str
    cells: dict[str, str]

    @property
    def name(self) -> str:
        """Return what the route is called everywhere: `POST keys/{id}/rotate`."""
        return f"{self.method} {self.path}"

    @property
    def resource(self) -> str:
        """Return the resource it belongs to."""
        return self.path.partition("/")[0]

    @property
    def verb(self) -> str:
        """Return `read` or `write`."""
        return "read" if self.method == "GET" else "write"

    @property
    def scope(self) -> str:
        """Return the scope a service account or token needs, "" for none."""
        return "" if self.resource in UNSCOPED else f"{self.resource}:{self.verb}"


def _read(table: str) -> dict[str, Route]:
    found: dict[str, Route] = {}
    for line in table.strip().splitlines()[2:]:
        method, path, *cells = line.replace("|", " ").split() or ("", "")
        if not method:
            continue
        route = Route(method, path, dict(zip(ROLES, cells, strict=True)))
        if route.name in found or not set(cells) <= CELLS:
            raise ValueError(f"The access matrix is wrong here: {line}")
        found[route.name] = route
    return found


class AdminRows(NamedTuple):
    """Who may do what to the rows of one kind in the admin, by platform role; `pages` are further ones by name."""

    read: frozenset[str]
    add: frozenset[str]
    change: frozenset[str]
    delete: frozenset[str]
    acts: frozenset[str]
    pages: dict[str, frozenset[str]]


def _roles(initials: str) -> frozenset[str]:
    return frozenset(role for role in _PLATFORM if role[0] in initials)


def _read_admin(table: str) -> dict[str, AdminRows]:
    found: dict[str, AdminRows] = {}
    for line in table.strip().splitlines()[1:]:
        if not line:
            continue
        label, *cells = line.split()
        if label in found or len(cells) < 5 or not all(set(cell) <= set("isfa-") for cell in cells[:5]):
            raise ValueError(f"The access matrix is wrong here: {line}")
        pages = {name: _roles(initials) for name, _, initials in (cell.partition("=") for cell in cells[5:])}
        read, add, change, delete, acts = (_roles(cell) for cell in cells[:5])
        found[label] = AdminRows(read, add, change, delete, acts, pages)
    return found


def _read_fields(table: str) -> dict[str, dict[str, frozenset[str]]]:
    found: dict[str, dict[str, frozenset[str]]] = {}
    for line in table.strip().splitlines()[1:]:
        method, path, field, *roles = line.split()
        if f"{method} {path}" not in ROUTES or not set(roles) <= set(ROLES):
            raise ValueError(f"The access matrix is wrong here: {line}")
        found.setdefault(f"{method} {path}", {})[field] = frozenset(roles)
    return found


ROUTES = _read("\n" + API.strip("\n"))
if not set(ROUTES) >= PEOPLE_ONLY:
    raise ValueError("Only people may take a route the access matrix does not have.")
NARROWED_FIELDS = _read_fields(FIELDS)
ADMIN_ROWS = _read_admin(ADMIN_PAGES)
# Resources a scope can name, in the order of the table.
RESOURCES = tuple(dict.fromkeys(route.resource for route in ROUTES.values() if route.scope))
