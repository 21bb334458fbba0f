"""People and teams, as django-scim2 asks for them: its mixins beside Django's own users."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django_scim.models import AbstractSCIMGroupMixin, AbstractSCIMUserMixin


class Team(AbstractSCIMGroupMixin):
    """A group of people; no two have the same name."""

    name = models.CharField(max_length=150, unique=True)


class Person(AbstractSCIMUserMixin, AbstractUser):
    """A user of the application."""

    teams = models.ManyToManyField(Team, related_name="user_set")
    groups = None
    user_permissions = None
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    @property
    def scim_groups(self) -> models.Manager[Team]:
        """What django-scim2 shows as the user's `groups`."""
        return self.teams
