from django.db import migrations

USD = 1_000_000_000


def add(apps, schema_editor):
    rules = apps.get_model("accounts", "ApprovalRule").objects
    rules.create(name="Sandbox for everybody", position=10, kinds=["sandbox"], is_automatic=True, up_to_nanousd=5 * USD)
    rules.create(
        name="A little credit for development", position=20, kinds=["credit"], environment="dev",
        is_automatic=True, up_to_nanousd=2 * USD, cap_nanousd=10 * USD, cap_days=30,
    )  # fmt: skip
    roles = rules.create(name="Platform roles", position=30, kinds=["platform_role"])
    apps.get_model("accounts", "RuleStep").objects.create(rule=roles, position=1, approver="role", roles=["it_admin", "security_officer"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_requests")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
