"""Every route of the management API and the scope it takes. A route that is not here fails the suite."""

MATRIX = """
GET    business-units                     business-units:read
POST   business-units                     business-units:write
GET    business-units/{id}                business-units:read
PATCH  business-units/{id}                business-units:write
GET    projects                           projects:read
POST   projects                           projects:write
GET    projects/{id}                      projects:read
PATCH  projects/{id}                      projects:write
POST   projects/{id}/suspend              projects:write
POST   projects/{id}/resume               projects:write
GET    keys                               keys:read
POST   keys                               keys:write
GET    keys/{id}                          keys:read
PATCH  keys/{id}                          keys:write
POST   keys/{id}/suspend                  keys:write
POST   keys/{id}/resume                   keys:write
POST   keys/{id}/revoke                   keys:write
GET    budgets                            budgets:read
POST   budgets                            budgets:write
GET    budgets/{id}                       budgets:read
PATCH  budgets/{id}                       budgets:write
POST   budgets/{id}/freeze                budgets:write
POST   budgets/{id}/unfreeze              budgets:write
POST   budgets/{id}/raise                 budgets:write
POST   budgets/{id}/archive               budgets:write
GET    limits                             limits:read
POST   limits                             limits:write
GET    limits/{id}                        limits:read
PATCH  limits/{id}                        limits:write
DELETE limits/{id}                        limits:write
GET    credit-accounts                    credit-accounts:read
POST   credit-accounts                    credit-accounts:write
GET    credit-accounts/{id}               credit-accounts:read
PATCH  credit-accounts/{id}               credit-accounts:write
POST   credit-accounts/{id}/grant         credit-accounts:write
POST   credit-accounts/{id}/move          credit-accounts:write
POST   credit-accounts/{id}/freeze        credit-accounts:write
POST   credit-accounts/{id}/unfreeze      credit-accounts:write
GET    calls                              calls:read
GET    calls/{id}                         calls:read
GET    audit-events                       audit-events:read
GET    audit-events/{id}                  audit-events:read
GET    audit-events/verify                audit-events:read
GET    audit-events/export                audit-events:read
"""

ROUTES = [tuple(line.split()) for line in MATRIX.strip().splitlines()]
