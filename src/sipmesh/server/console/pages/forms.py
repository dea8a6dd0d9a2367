"""Every form of the console."""

from __future__ import annotations

from typing import Final

from sipmesh.server.console.pages.call_forms import CALL_FORMS
from sipmesh.server.console.pages.certificate_forms import CERTIFICATE_FORMS
from sipmesh.server.console.pages.change_forms import CHANGE_FORMS
from sipmesh.server.console.pages.partner_forms import PARTNER_FORMS
from sipmesh.server.console.pages.user_forms import USER_FORMS

FORMS: Final = CHANGE_FORMS + PARTNER_FORMS + CERTIFICATE_FORMS + USER_FORMS + CALL_FORMS
