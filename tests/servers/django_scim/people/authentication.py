"""The token's check: django-scim2 leaves it to the project, and asks for a `user` that is authenticated."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse


def check_token(answer: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return a middleware under which only requests with the token have a user."""

    def checked(request: HttpRequest) -> HttpResponse:
        right = request.headers.get("Authorization") == f"Bearer {settings.SCIM_TOKEN}"
        request.user = get_user_model()(username="provisioning") if right else AnonymousUser()
        return answer(request)

    return checked
