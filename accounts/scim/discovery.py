"""What this service says of itself: what it can do, its resource types and its schemas."""

from collections.abc import Mapping
from typing import Any

import scim2_models as scim
from scim2_models import Context, ListResponse, Resource

from accounts.scim.resources import MOST_RESULTS, Group, Person

CONFIGURATION = scim.ServiceProviderConfig(
    documentation_uri=None,
    patch=scim.Patch(supported=True),
    bulk=scim.Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=scim.Filter(supported=True, max_results=MOST_RESULTS),
    change_password=scim.ChangePassword(supported=False),
    sort=scim.Sort(supported=False),
    etag=scim.ETag(supported=True),
    authentication_schemes=[
        scim.AuthenticationScheme(
            type=scim.AuthenticationScheme.Type.oauthbearertoken, name="SCIM token", description="Authorization: Bearer sgw_sc_...", primary=True
        )
    ],
)
_PROVIDER = scim.ScimProvider(models=[Person, Group], config=CONFIGURATION)
RESOURCE_TYPES: Mapping[str, Resource[Any]] = {str(found.name): found for found in _PROVIDER.resource_types}
SCHEMAS: Mapping[str, Resource[Any]] = {str(found.id): found for found in _PROVIDER.schemas}


def listed(found: Mapping[str, Resource[Any]]) -> dict[str, Any]:
    """Return descriptions as one list."""
    kind: Any = ListResponse[type(next(iter(found.values())))]  # type: ignore[misc]  # of whatever is listed
    answer: dict[str, Any] = kind(total_results=len(found), start_index=1, items_per_page=len(found), resources=list(found.values())).model_dump(
        scim_ctx=Context.RESOURCE_QUERY_RESPONSE
    )
    return answer
