"""The admin of schedules: what runs by itself, how often and when last; switched on and off, or run at once."""

from __future__ import annotations

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from unfold.decorators import display

from accounts.admin import ReadOnlyAdmin, said
from gateway import schedules

# The library's own pages ask nobody's role before they act, and write past the audit trail.
for _model in (ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule):
    admin.site.unregister(_model)


@admin.register(PeriodicTask)
class ScheduleAdmin(ReadOnlyAdmin):
    """Schedules come with the program; here they are watched and switched."""

    list_display = ("name", "shown_state", "scheduler", "last_run_at", "total_run_count")
    list_filter = ("enabled",)
    list_select_related = ("interval", "crontab", "solar", "clocked")
    search_fields = ("name", "task")
    fields = ("name", "task", "shown_state", "scheduler", "last_run_at", "total_run_count", "expire_seconds", "description")
    readonly_fields = ("shown_state", "scheduler")
    actions = ("switch_on", "switch_off", "run")

    @display(description="state", ordering="enabled", label={"on": "success", "off": "warning"})
    def shown_state(self, schedule: PeriodicTask) -> str:
        """On or off."""
        return "on" if schedule.enabled else "off"

    @admin.display(description="runs")
    def scheduler(self, schedule: PeriodicTask) -> str:
        """How often."""
        return str(schedule.scheduler)

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Whoever may change schedules acts on them."""
        return request.user.has_perm("django_celery_beat.change_periodictask")

    def _switch(self, request: HttpRequest, queryset: QuerySet[PeriodicTask], enabled: bool) -> None:
        done = sum(schedules.switch(one, enabled) for one in queryset)
        self.message_user(request, f"{done} switched {'on' if enabled else 'off'}.", messages.SUCCESS if done else messages.INFO)

    @admin.action(description="Switch on", permissions=["act"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Let the chosen schedules run again."""
        self._switch(request, queryset, True)

    @admin.action(description="Switch off", permissions=["act"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Let the chosen schedules rest, also after the next start."""
        self._switch(request, queryset, False)

    @admin.action(description="Run now", permissions=["act"])
    def run(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Have a worker run each chosen schedule once."""
        done = 0
        for one in queryset:
            try:
                schedules.run_now(one)
                done += 1
            except ValidationError as refusal:
                self.message_user(request, f"{one.name}: {said(refusal)}", messages.ERROR)
        self.message_user(request, f"{done} will run soon.", messages.SUCCESS if done else messages.INFO)
