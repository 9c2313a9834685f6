"""From rows to the snapshot: whole, by delta, refused, and kept on disk."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from accounts import keys
from accounts.models import BusinessUnit, Project, VirtualKey
from accounts.sealing import Sealer
from billing.models import Price
from gateway.models import Deployment, Model, ProviderAccount
from gateway.plane.snapshot import BadSnapshot
from gateway.publish import Publisher, binding
from gateway.settings import settings

pytestmark = pytest.mark.django_db


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(settings.kek)


@pytest.fixture
def publisher(tmp_path: Path, sealer: Sealer) -> Publisher:
    return Publisher(tmp_path / "snapshot" / "current", sealer)


def make_project() -> Project:
    company = BusinessUnit.objects.create(name="Company")
    return Project.objects.create(name="Shop", business_unit=BusinessUnit.objects.create(name="Digital", parent=company))


def make_key(project: Project, **fields: object) -> VirtualKey:
    made = keys.make()
    given = {"name": made.public_id, "models": ["*"], "expires_at": timezone.now() + timedelta(days=1), **fields}
    return VirtualKey.objects.create(public_id=made.public_id, project=project, digest=b"d" * 32, **given)


def make_deployment(sealer: Sealer, credential: str = "sk-canary") -> Deployment:
    account = ProviderAccount(slug="acme", name="Acme", provider="openai", base_url="https://api.acme.example/v1")
    account.sealed_credential = sealer.seal(credential.encode(), binding(account))
    account.save()
    since = timezone.now() - timedelta(days=1)
    Price.objects.create(provider="openai", upstream_model="up-1", valid_from=since, input_nanousd=5, output_nanousd=7, source="genai-prices")
    return Deployment.objects.create(model=Model.objects.create(name="chat"), account=account, upstream_model="up-1")


def test_the_first_poll_compiles_everything(publisher: Publisher, sealer: Sealer) -> None:
    project = make_project()
    deployment = make_deployment(sealer)
    key = make_key(project, models=["chat"])
    update = publisher.poll()
    assert update is not None
    assert (update.whole, [k.id for k in update.keys]) == (True, [key.public_id])
    snapshot = publisher.current
    assert snapshot is not None
    assert snapshot.accounts["acme"].credential == "sk-canary"
    assert "sk-canary" not in repr(snapshot)
    unit = project.business_unit
    assert snapshot.projects[str(project.id)].business_units == (str(unit.id), str(unit.parent_id))
    (compiled,) = snapshot.models["chat"].deployments
    assert (compiled.id, compiled.slug) == (str(deployment.id), "acme/up-1")
    assert compiled.price is not None
    assert (compiled.price.rates.input_nanousd, compiled.price.rates.output_nanousd) == (5, 7)


def test_nothing_new_costs_one_query_and_gives_nothing(publisher: Publisher, sealer: Sealer, django_assert_num_queries: object) -> None:
    make_key(make_project())
    publisher.poll()
    with django_assert_num_queries(1):  # type: ignore[operator]
        assert publisher.poll() is None


def test_a_changed_key_loads_by_delta(publisher: Publisher) -> None:
    project = make_project()
    one, _two = make_key(project), make_key(project)
    publisher.poll()
    one.state = VirtualKey.State.REVOKED
    one.save()
    update = publisher.poll()
    assert update is not None
    assert (update.whole, update.structure, [(k.id, k.state) for k in update.keys]) == (False, None, [(one.public_id, "revoked")])
    assert publisher.current is not None
    assert len(publisher.current.keys) == 2


def test_last_use_of_a_key_changes_no_revision(publisher: Publisher) -> None:
    key = make_key(make_project())
    publisher.poll()
    key.last_used_at = timezone.now()
    key.save(update_fields=["last_used_at"])
    assert publisher.poll() is None


def test_a_structure_that_would_not_serve_stays_out_and_a_revocation_goes_through(publisher: Publisher, sealer: Sealer) -> None:
    key = make_key(make_project())
    deployment = make_deployment(sealer)
    publisher.poll()
    good = publisher.current
    ProviderAccount.objects.filter(pk=deployment.account_id).update(sealed_credential=b"damaged")
    deployment.account.refresh_from_db()
    deployment.account.save()
    key.state = VirtualKey.State.REVOKED
    key.save()
    update = publisher.poll()
    assert good is not None
    assert publisher.current is not None
    assert "acme" in publisher.refused
    assert publisher.current.accounts == good.accounts
    assert publisher.current.keys[key.public_id].state == "revoked"
    assert update is not None
    assert update.structure is None
    deployment.account.sealed_credential = sealer.seal(b"sk-new", binding(deployment.account))
    deployment.account.save()
    publisher.poll()
    assert publisher.refused == ""
    assert publisher.current.accounts["acme"].credential == "sk-new"


def test_without_an_older_one_a_bad_configuration_is_refused_outright(publisher: Publisher, sealer: Sealer) -> None:
    deployment = make_deployment(sealer)
    ProviderAccount.objects.filter(pk=deployment.account_id).update(sealed_credential=b"damaged")
    with pytest.raises(BadSnapshot):
        publisher.poll()


def test_the_last_good_snapshot_survives_on_disk_and_is_unreadable_there(publisher: Publisher, sealer: Sealer, tmp_path: Path) -> None:
    make_deployment(sealer)
    key = make_key(make_project())
    publisher.poll()
    publisher.save()
    path = tmp_path / "snapshot" / "current"
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_bytes()
    assert b"sk-canary" not in content
    assert key.public_id.encode() not in content
    again = Publisher(path, sealer)
    assert again.load_last_good() is True
    assert again.current == publisher.current
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert Publisher(path, sealer).load_last_good() is False


def test_a_poll_after_taking_over_from_disk_is_a_whole_one(publisher: Publisher, sealer: Sealer, tmp_path: Path) -> None:
    make_key(make_project())
    publisher.poll()
    publisher.save()
    again = Publisher(tmp_path / "snapshot" / "current", sealer)
    again.load_last_good()
    update = again.poll()
    assert update is not None
    assert update.whole
