"""Where one signs in and looks after a password, under the names that django-allauth reverses.

Only what is offered here has an address: no sign-up form (its page says that it is closed), no change
of one's own e-mail address, which an administrator made and the audit log knows people by.
"""

from __future__ import annotations

from django.urls import path, re_path

from finops.accounts.views import sign_in

urlpatterns = [
    path("login/", sign_in.login, name="account_login"),
    path("logout/", sign_in.logout, name="account_logout"),
    path("inactive/", sign_in.inactive, name="account_inactive"),
    path("signup/", sign_in.signup, name="account_signup"),
    path("password/change/", sign_in.password_change, name="account_change_password"),
    path("password/set/", sign_in.password_set, name="account_set_password"),
    path("password/reset/", sign_in.password_reset, name="account_reset_password"),
    path("password/reset/done/", sign_in.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        sign_in.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        sign_in.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
]
