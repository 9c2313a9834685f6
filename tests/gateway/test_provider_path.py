"""What a provider path means, and what no vendor is ever sent: administration, credentials, and paths that two servers would read differently."""

import pytest

from gateway.errors import BadRequest, UnknownEndpoint
from gateway.keeping import check_apart
from gateway.provider_path import Place, check_passes, check_query, is_administrative, place_of
from gateway.providers import shelf
from tests.gateway.plane.builders import sealed_account, snapshot

SNAPSHOT = snapshot(accounts=(sealed_account("acme"),))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (b"/v1/acme/files", Place("acme", "files", "files")),
        (b"/v1/acme/v1/chat/completions", Place("acme", "v1/chat/completions", "chat/completions")),
        (b"/v1/acme/", Place("acme", "", "")),
        (b"/v1/acme", Place("acme", "", "")),
    ],
)
def test_a_provider_path_is_an_account_and_the_rest(path: bytes, place: Place) -> None:
    assert place_of(path, SNAPSHOT) == place


@pytest.mark.parametrize("path", ["api/pull", "api/push", "api/create", "api/copy", "api/delete", "api/blobs/sha256:0", "v1/API/Pull"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD"])
def test_what_changes_the_models_of_ollamas_servers_is_never_passed_on(method: str, path: str) -> None:
    with pytest.raises(UnknownEndpoint, match="is never passed on"):
        check_passes(method, Place("lab", path, path), is_allowed=True)


@pytest.mark.parametrize("path", ["API/chat", "api/Generate", "v1/v1/api/embed", "V2/chat", "v1/v2/embed", "openai/v2/chat"])
def test_vendors_own_apis_are_not_asked_by_other_spellings(path: str) -> None:
    with pytest.raises(UnknownEndpoint, match="another spelling of an endpoint that is metered"):
        check_passes("POST", Place("lab", path, path), is_allowed=True)


def test_what_ollama_tells_of_its_models_is_the_accounts_to_allow() -> None:
    for path in ("api/tags", "api/ps", "api/show", "api/version"):
        check_passes("GET", Place("lab", path, path), is_allowed=True)
        with pytest.raises(UnknownEndpoint, match="the gateway cannot meter it"):
            check_passes("GET", Place("lab", path, path), is_allowed=False)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (b"/v1/v1/chat/completions", "remove /v1 from base_url"),
        (b"/v1/v1beta/models/g:generateContent", "remove /v1 from base_url"),
        (b"/v1beta/v1beta/models/g:generateContent", "remove /v1beta from base_url"),
        (b"/v1/chat/completions/", "There is no endpoint '/v1/chat/completions/'. Did you mean '/v1/chat/completions'"),
        (b"/v1//embeddings", "Did you mean '/v1/embeddings'"),
        (b"/v1/chat/completions/chat/completions", "Did you mean '/v1/chat/completions'"),
        (b"/v1beta/openai/Chat/completions", "Did you mean '/v1/chat/completions'"),
        (b"/v1/nobody/messages", "Did you mean '/v1/messages'"),
        (b"/v1/nobody/files", "There is no endpoint '/v1/nobody/files'"),
        (b"/v1beta/acme/files", "There is no endpoint '/v1beta/acme/files'"),
        (b"/upload/acme/files", "There is no endpoint '/upload/acme/files'"),
        (b"/v1/Acme/files", "There is no endpoint '/v1/Acme/files'"),
    ],
)
def test_any_other_path_is_none_and_says_what_to_do(path: bytes, told: str) -> None:
    with pytest.raises(UnknownEndpoint, match=told):
        place_of(path, SNAPSHOT)


# every path of the vendors' references and SDKs that makes a credential or administers the account; {} stands for an id
ADMINISTRATION = {
    "openai": """organization/admin_api_keys organization/projects/{}/api_keys organization/projects/{}/service_accounts organization/users
        organization/invites organization/audit_logs organization/costs organization/usage/completions organization/certificates/activate
        organization/roles organization/groups/{}/users organization/spend_limit organization/external_keys organization/workload_identity_providers
        organization/data_retention projects/{}/users/{}/roles projects/{}/groups/{}/roles realtime/client_secrets realtime/sessions
        realtime/transcription_sessions realtime/translations/client_secrets realtime/calls realtime/calls/{}/accept live/sessions chatkit/sessions
        chatkit/sessions/{}/cancel chatkit/threads fine_tuning/checkpoints/{}/permissions fine_tuning/checkpoints/{}/permissions/{}
        webhook_endpoints webhook_endpoints/{}/rotate_secret webhook_event_types webhooks vaults vaults/{}/credentials/{} safety/alerts/{}
        safety/cases/{} v1/organization/users dashboard/billing/usage""",
    "anthropic": """v1/organizations/me v1/organizations/api_keys v1/organizations/users/{} v1/organizations/workspaces/{}/members v1/organizations/invites
        v1/organizations/usage_report/messages v1/organizations/cost_report v1/organizations/federation_rules v1/organizations/webhooks
        organizations/api_keys v1/vaults/{}/credentials v1/tunnels/{}/reveal_token v1/tunnels/{}/certificates v1/user_profiles/{}/enrollment_url
        v1/oauth/token""",
    "google": """v1alpha/auth_tokens v1beta/authTokens v1beta/authTokens:create v1beta/tunedModels/{}/permissions v1beta/tunedModels/{}:transferOwnership
        v1beta/corpora/{}/permissions/{} v1beta/files:register v1beta/projects/{}/locations/global/keys v2/projects/{}/apiKeys v1beta/credentials
        v1beta/webhooks v1/projects/{}/serviceAccounts/{}:generateAccessToken v1/projects/{}:setIamPolicy""",
    "azure": """openai/deployments openai/deployments/{} subscriptions/{}/resourceGroups/{} openai/v1/realtime/client_secrets
        subscriptions/{}/providers/Microsoft.CognitiveServices/accounts/{}/listKeys sts/v1.0/issueToken openai/authoring/accounts""",
    "openrouter": "keys keys/{} key credits auth/keys",
    "fireworks": "v1/accounts/{}/apiKeys accounts/{}/users",
    "deepseek": "user/balance",
}
EVERY = [(vendor, path.replace("{}", "abc_123")) for vendor, paths in ADMINISTRATION.items() for path in paths.split()]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(("vendor", "path"), EVERY)
def test_administration_is_refused_whatever_the_account_allows(vendor: str, path: str, method: str) -> None:
    place = Place("acme", path, shelf()[vendor].locate(path))
    with pytest.raises(UnknownEndpoint, match="administers the vendor's account"):
        check_passes(method, place, is_allowed=True)


# the same, written so that we and a vendor might read it differently
@pytest.mark.parametrize(
    "path",
    [
        "organization%2fusers", "%6frganization/users", "organization%2Fusers", "files/../organization/users", "files/%2e%2e/organization/users",
        "./organization/users", "files/..;/organization/users", "organization;x=1/users", "organization\\users", "//organization/users", "files//x",
        "organization/users?", "organization/users#", "files/", "/files", "", ".", "..", "files/.", "files/.hidden", "files\t", "files\r\n", "files ",
        "f\xefles", "files/%00", "v1//files", "a" * 401, "files/{id}", "files|x", "files&x", "files\x00",
    ],
)  # fmt: skip
def test_a_path_of_two_meanings_is_refused(path: str) -> None:
    with pytest.raises(UnknownEndpoint, match="There is no endpoint"):
        check_passes("GET", Place("acme", path, path), is_allowed=True)


@pytest.mark.parametrize(
    "path",
    ["Organization/Users", "ORGANIZATION", "v1/v1/organization/users", "api-keys", "api.keys", "Api_Keys", "x/ORGANIZATION/y", "files:SetIamPolicy"],
)
def test_no_spelling_of_administration_passes(path: str) -> None:
    assert is_administrative("POST", path)


def test_a_vendors_models_are_deleted_by_nobody() -> None:
    assert [is_administrative(method, "models/ft:gpt:acme") for method in ("GET", "POST", "DELETE", "PATCH")] == [False, False, True, True]


@pytest.mark.parametrize(
    "path",
    """files files/file-1/content vector_stores/vs_1/files threads/thread_1/runs/run_1/steps responses/input_tokens responses/compact
    fine_tuning/jobs/ft-1/events v1beta/cachedContents/c-1 upload/v1beta/files v1beta/files/f-1:download audio/voices content_provenance_checks
    tokenize v1/score evals/eval_1/runs openai/v1/files v1/skills/skill_1/versions uploads/upload_1/complete""".split(),
)
def test_what_administers_nothing_passes_where_the_account_allows_it(path: str) -> None:
    check_passes("POST", Place("acme", path, path), is_allowed=True)
    with pytest.raises(UnknownEndpoint, match="cannot meter"):
        check_passes("POST", Place("acme", path, path), is_allowed=False)


@pytest.mark.parametrize(
    "path",
    """v1beta/openai/chat/completions v1beta/openai/embeddings openai/v1/Chat/Completions openai/v1/Responses V1/messages v1/Messages/count_tokens
    v1beta/Models/gemini-2.5-flash:GenerateContent compatibility/v1/chat/completions v2/rerank v1/chat/completions/""".split(),
)
def test_another_spelling_of_what_is_metered_is_not_passed_on_unmetered(path: str) -> None:
    with pytest.raises(UnknownEndpoint):
        check_passes("POST", Place("acme", path, path), is_allowed=True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "async-invoke"), ("GET", "async-invoke/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aasync-invoke%2Fx"), ("GET", "async-invoke/x"),
        ("POST", "model/amazon.nova-sonic-v1%3A0/invoke-with-bidirectional-stream"), ("POST", "model/amazon.nova-sonic-v1:0/invoke-with-bidirectional-stream"),
        ("POST", "guardrail/gr1abc/version/1/apply"), ("GET", "model/m/converse/"), ("POST", "openai/v1/chat/completions"),
    ],
)  # fmt: skip
def test_what_bedrock_does_for_all_of_an_account_is_reached_by_nobody(method: str, path: str) -> None:
    bedrock = shelf()["bedrock"]
    place = Place("aws", path, bedrock.locate(path))
    with pytest.raises(UnknownEndpoint):
        check_passes(method, place, is_allowed=True)
        check_apart(method, place, bedrock)


def test_bedrocks_models_stand_in_its_paths_in_any_spelling() -> None:
    paths = ("model/a%3A0/converse", "model/a%3A0/Converse-Stream", "Model/a/invoke-with-response-stream", "model/a/count-tokens")
    assert [shelf()["bedrock"].locate(path) for path in paths] == ["converse", "converse", "invoke", "count-tokens"]


@pytest.mark.parametrize("query", ["", "limit=20&order=desc", "api-version=2024-10-21", "after=file-1&include%5B%5D=x", "alt=media", "purpose=batch&keynote=1"])
def test_a_plain_query_passes(query: str) -> None:
    check_query(query)


@pytest.mark.parametrize(
    "query",
    ["k%65y=AIza", "%6b%65%79=AIza", "KEY=x", "%24key=x", "access_token=x", "oauth_token=x", "api-key=x", "%24httpMethod=DELETE",
     "x-http-method-override=DELETE", "callback=alert", "subscription-key=x", "a=1;b=2#", "a=\x00", "a=<b>"],
)  # fmt: skip
def test_a_query_that_says_more_is_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        check_query(query)


@pytest.mark.parametrize(
    ("provider", "rest", "path"),
    [
        ("openai", "files", "/files"),
        ("openai", "v1/files", "/files"),
        ("anthropic", "files", "/v1/files"),
        ("anthropic", "v1/files", "/v1/files"),
        ("google", "v1beta/files", "/v1beta/files"),
        ("google", "files", "/v1beta/files"),
        ("google", "upload/v1beta/files", "/upload/v1beta/files"),
        ("azure", "openai/files", "/openai/files"),
        ("azure", "files", "/openai/v1/files"),
        ("vertex", "v1/publishers", "/v1/publishers"),
    ],
)
def test_what_is_not_metered_reaches_the_vendors_own_path(provider: str, rest: str, path: str) -> None:
    assert shelf()[provider].other_path(rest) == path
