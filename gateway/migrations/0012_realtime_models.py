"""A further kind of models: those that speak in live sessions."""

from django.db import migrations, models

KINDS = ["chat", "embeddings", "moderation", "image", "speech", "transcription", "rerank", "realtime"]


class Migration(migrations.Migration):

    dependencies = [
        ("gateway", "0011_batches"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='model',
            name='model_kind_known',
        ),
        migrations.AlterField(
            model_name='model',
            name='kind',
            field=models.CharField(choices=[('chat', 'Chat'), ('embeddings', 'Embeddings'), ('moderation', 'Moderation'), ('image', 'images'), ('speech', 'speech (text to sound)'), ('transcription', 'transcription (sound to text)'), ('rerank', 'reranking'), ('realtime', 'realtime (sessions of speech)')], default='chat', max_length=16),
        ),
        migrations.AddConstraint(
            model_name='model',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', KINDS)), name='model_kind_known'),
        ),
    ]
