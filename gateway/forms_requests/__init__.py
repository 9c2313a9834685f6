"""Forms of the portal's pages of requests: one for each kind, by its name; what they refuse, the actions refuse too."""

from gateway.forms_requests.about_access import DataClassForm, JoinForm, ModelForm, ProductionForm, ProjectForm, RoleForm
from gateway.forms_requests.about_money import CreditForm, LimitForm, RaiseForm
from gateway.forms_requests.ask import AskForm

__all__ = ["FORMS", "AskForm"]

FORMS: dict[str, type[AskForm]] = {
    form.kind: form for form in (CreditForm, RaiseForm, LimitForm, ModelForm, DataClassForm, ProductionForm, JoinForm, ProjectForm, RoleForm)
}
