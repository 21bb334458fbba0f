"""The Django application that django-scim2 is given: models and the check of the token."""
