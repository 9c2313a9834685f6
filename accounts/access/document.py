"""The access matrix as a page of the documentation; the suite keeps docs/reference/access.md the same as this."""

from collections.abc import Collection, Mapping

from accounts.access.matrix import ADMIN_ROWS, API, NARROWED_FIELDS, PEOPLE_ONLY, PORTAL, PUBLIC, ROLES

HEAD = """# Who may do what

Made from accounts/access/matrix.py, which the API, the portal and the admin obey; `python manage.py access_matrix` writes this page anew.

Roles: platform (`it_admin`, `security_officer`, `finance`, `auditor`), business unit (`manager`, `viewer`), project (`owner`, `developer`,
`viewer`); `anyone` is every signed-in person. A right held in a unit reaches everything below it.

| cell | reaches |
|---|---|
| all | every object |
| here | objects of the unit or project the role is held in, and of everything below it |
| below | only what lies below it: nobody changes what binds themselves |
| mine | those in it that are one's own, outside prod |
| own | one's own, wherever they are |
| named | those the object itself names, such as an approver |
| – | none |

An object one may not read is 404; one that may be read but not changed is 403. A service account stands where the owner of its project, the
manager of its unit, or for the platform an IT administrator stands; it and a personal token also need the scope. A key or token lives no
longer than the credential it was made with, scopes are handed on only by who holds them, and what somebody higher suspended is resumed by
nobody lower.

## API (`/api/v1/`)
"""


ADMIN_HEAD = """## Admin

Every page of rows: `i` it_admin, `s` security_officer, `f` finance, `a` auditor. Acts are bulk actions and pages that do something to chosen rows; where
the rows themselves say who may (a request, a delegation), everybody named here may try, and the action decides. Others get 403.
"""


def _initials(roles: Collection[str]) -> str:
    return "".join(role[0] for role in ROLES if role in roles) or "–"


def _pages(pages: Mapping[str, Collection[str]]) -> str:
    return ", ".join(f"{name}: {_initials(roles)}" for name, roles in pages.items()) or "–"


def page() -> str:
    """Return the page in Markdown."""
    names = ("route", *(role.replace("_", " ") for role in ROLES))
    lines = [HEAD, f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    for line in API.strip("\n").splitlines()[2:]:
        words = line.replace("|", " ").split()
        if words:
            cells = ["–" if cell == "-" else cell for cell in words[2:]]
            lines.append(f"| `{words[0]} {words[1]}` | {' | '.join(cells)} |")
    lines += ["", f"Open to everybody: {', '.join(f'`{route}`' for route in PUBLIC)}."]
    lines += ["", f"Never taken by service accounts: {', '.join(f'`{route}`' for route in sorted(PEOPLE_ONLY))}."]
    lines += ["", "Fields only some roles write:", ""]
    for route, fields in NARROWED_FIELDS.items():
        lines += [f"- `{route}`: `{field}` by {', '.join(sorted(roles))}" for field, roles in fields.items()]
    lines += ["", "## Portal", "", "| page | who |", "|---|---|", *(f"| `/{path}` | {who} |" for path, who in PORTAL.items())]
    lines += ["", ADMIN_HEAD, "| rows | read | add | change | delete | acts | more pages |", f"|{'---|' * 7}"]
    lines += [f"| `{label}` | {' | '.join(_initials(cell) for cell in rows[:5])} | {_pages(rows.pages)} |" for label, rows in ADMIN_ROWS.items()]
    return "\n".join(lines) + "\n"
