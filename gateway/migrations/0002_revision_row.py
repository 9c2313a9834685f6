"""Create the one revision row that every change locks."""

from typing import Any

from django.db import migrations


def create_row(apps: Any, schema_editor: Any) -> None:
    apps.get_model("gateway", "Revision").objects.using(schema_editor.connection.alias).get_or_create(id=1)


class Migration(migrations.Migration):
    dependencies = [("gateway", "0001_initial")]
    operations = [migrations.RunPython(create_row, migrations.RunPython.noop)]
