"""Every rule that protects people, and how it is switched off: a line of the product, and what would stand there
without the rule. The tests named must notice. A line that is no longer there makes the switch itself fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Rule:
    """`line` of `file` is the rule; `without` stands in its place when it is switched off."""

    name: str
    file: str
    line: str
    without: str
    noticed_by: tuple[str, ...]


_POLICY, _ABSENCE = "tests/core/test_policy.py", "tests/test_compare_absence.py"
_ADOPTION, _CLAIMS = "tests/test_compare_adoption.py", "tests/test_compare_claims.py"
_GATE, _LOST, _TAKING_OVER = "tests/push/test_gate.py", "tests/push/test_lost.py", "tests/push/test_taking_over.py"
_SETTLING, _PRECONDITIONS = "tests/push/test_settling.py", "tests/push/test_preconditions.py"
_READING, _DRIFT = "tests/test_reading.py", "tests/test_reading_drift.py"
_OF_PROFILES = "tests/test_reading_profiles.py"
_CSV, _LOOKUP, _CLIENT = (
    "tests/contract/test_source_csv.py",
    "tests/contract/test_ldap_lookup.py",
    "tests/scim/test_client.py",
)
_OBSERVING, _LUCIDLINK = "tests/store/test_observing_drift.py", "tests/failures/test_lucid_and_lucidlink.py"

_HTML, _FORMATS = "tests/report/test_html.py", "tests/report/test_formats.py"

RULES: Final = (
    # -- absence is proven -----------------------------------------------------------------------
    Rule(
        "who is not seen counts as gone only where absence means something",
        "compare.py",
        "            if not evidence.absence:\n                unread",
        "            if False:\n                unread",
        ("tests/test_compare.py", _ABSENCE),
    ),
    Rule(
        "who may be there after all is not gone",
        "compare.py",
        "            if there is None:",
        "            if False:",
        (_ABSENCE,),
    ),
    Rule(
        "a group that may be there after all is not gone",
        "compare_groups.py",
        "        return leaving - unproven",
        "        return leaving",
        (_ABSENCE, "tests/test_compare_groups.py"),
    ),
    Rule(
        "who vanished waits out the grace",
        "core/policy.py",
        "if since is not None and situation.now - since < policy.missing_grace:",
        "if False:",
        (_POLICY,),
    ),
    Rule(
        "from an empty source nothing follows",
        "compare.py",
        "        if evidence.users == 0 and managed:",
        "        if False:",
        (_ABSENCE,),
    ),
    Rule(
        "a source that shrank to less than half is not believed",
        "compare.py",
        "    return before >= _ENOUGH_TO_JUDGE and now * 2 < before",
        "    return False",
        (_ABSENCE,),
    ),
    Rule(
        "a faulty row protects whoever it may belong to",
        "compare.py",
        "            self._leave_alone(key)\n            self._accounts.discard(key)",
        "            pass",
        ("tests/test_compare.py",),
    ),
    Rule(
        "a row that may be anybody's proves nobody gone",
        "sources/csv_keys.py",
        "        if self.nameless is not None:\n            where",
        "        if False:\n            where",
        (f"{_CSV}::test_a_row_that_may_be_anyones_makes_the_file_incomplete",),
    ),
    Rule(
        "who may have a faulty row is not proven gone",
        "sources/csv.py",
        "None if nameless or any(key in rows.suspected for rows in keyed) else False",
        "None if nameless else False",
        (f"{_CSV}::test_who_may_have_a_faulty_row_is_not_proven_gone",),
    ),
    Rule(
        "a page of a directory that doesn't say whether it is the last is no end",
        "sources/ldap/session.py",
        "            if control is None:",
        "            if control is None:\n                yield page\n                return\n            if False:",
        ("tests/contract/test_ldap_safety.py::test_a_page_without_its_control_is_refused",),
    ),
    Rule(
        "a directory's error is no end of the list",
        "sources/ldap/session.py",
        '            if result["result"] != answers.SUCCESS:\n                raise',
        '            if result["result"] != answers.SUCCESS:\n                return\n                raise',
        ("tests/contract/test_ldap_safety.py::test_any_other_result_refuses_the_reading",),
    ),
    Rule(
        "a look-up that was refused proves nobody gone",
        "sources/ldap/lookup.py",
        '        whole = result["result"] == answers.SUCCESS and',
        "        whole =",
        (f"{_LOOKUP}::test_a_refused_look_up_is_no_proof",),
    ),
    Rule(
        "who cannot find those just read proves nobody gone",
        "sources/ldap/lookup.py",
        "            proven = proven and present.issuperset(self._witnesses)\n",
        "",
        (f"{_LOOKUP}::test_without_the_witnesses_nothing_is_proven",),
    ),
    # -- limits, and what people decide ----------------------------------------------------------
    Rule(
        "a class over its limit is held",
        "core/policy.py",
        "        if exceeded := limit.exceeded(len(keys), managed):",
        "        if exceeded := '':",
        (_POLICY,),
    ),
    Rule(
        "who is removed from everything counts as deactivated",
        "core/policy.py",
        "    if losing and _people_removed(change, situation) & set(losing):",
        "    if False:",
        (_POLICY,),
    ),
    Rule(
        "a class may always wait for a person",
        "core/policy.py",
        "    if class_ is not None and policy.limits.get(class_, DEFAULT_LIMITS[class_]).always:",
        "    if False:",
        (_POLICY,),
    ),
    Rule(
        "who keeps the account keeps the groups",
        "core/policy.py",
        "    staying = {each.change.key: each for each in held if each.change.action in _LEAVING}",
        "    staying = {}",
        (_POLICY,),
    ),
    Rule(
        "an approval releases one change",
        "core/policy.py",
        "        if over is None or change.id in situation.approved:",
        "        if over is None or situation.approved:",
        (_POLICY,),
    ),
    Rule(
        "some things no approval releases",
        "core/policy.py",
        "(doubt.limit not in NEVER_RELEASED and change.id in situation.approved)",
        "(change.id in situation.approved)",
        (_POLICY,),
    ),
    Rule(
        "what was rejected is not done",
        "core/policy.py",
        "        reason = situation.rejected.get(change.id) if situation.rejected else None",
        "        reason = None",
        (_POLICY,),
    ),
    Rule(
        "an approval expires",
        "store/holds.py",
        "WHERE target = ? AND decision = ? AND expires > ?",
        "WHERE target = ? AND decision = ? AND '' < ?",
        ("tests/store/test_holds.py",),
    ),
    Rule(
        "an approval is spent",
        "push.py",
        "            self._holds.spend(id_)",
        "            pass",
        (_SETTLING,),
    ),
    Rule(
        "who is protected is not switched off by a plan",
        "core/policy.py",
        "    if about_user and change.key in situation.protected and change.shuts_out:",
        "    if False:",
        (_POLICY, _ABSENCE),
    ),
    Rule(
        "who is protected is not switched off by the gate",
        "gate.py",
        "        if link.kind is Kind.USER and (reason := self._protected(link.key, link.id)):",
        "        if reason := '':",
        (_GATE,),
    ),
    # -- people from outside ---------------------------------------------------------------------
    Rule(
        "who is pending is kept out",
        "core/diff.py",
        "        return state is State.ACTIVE or (state is State.PENDING and self.by_endpoint)",
        "        return state is not State.DEACTIVATED",
        ("tests/core/test_diff.py",),
    ),
    Rule(
        "who is pending is never activated by an update",
        "core/diff.py",
        'desired, known, known.state, pending, digest, ""))',
        'desired, known, State.ACTIVE, pending, digest, ""))',
        ("tests/core/test_diff.py",),
    ),
    Rule(
        "nobody is invited twice",
        "core/lifecycle.py",
        "(State.PENDING, Says.EXTERNAL): (Step.UPDATE, Step.UPDATE, Step.INVITE_AGAIN)",
        "(State.PENDING, Says.EXTERNAL): (Step.UPDATE, Step.UPDATE, Step.INVITE)",
        ("tests/core/test_lifecycle.py", _ABSENCE),
    ),
    Rule(
        "an active person whose address moves outside is looked at",
        "compare.py",
        '                self._doubts.setdefault(key, Doubt("external_domain", reason))',
        "                pass",
        ("tests/test_compare_states.py", "tests/test_compare.py"),
    ),
    Rule(
        "who doesn't say whether they are in has not accepted",
        "reconciling.py",
        'if found.attributes.get("active") is True]',
        "if found.active]",
        (_DRIFT,),
    ),
    Rule(
        "where everybody is shown as in, nobody is known to have accepted",
        "reconciling.py",
        "        if not shown:\n            return []",
        "        if False:\n            return []",
        (f"{_DRIFT}::test_where_the_endpoint_shows_everybody_as_active_nothing_can_be_told",),
    ),
    Rule(
        "an acceptance that comes too late brings nobody back",
        "store/users.py",
        "        if user is not None and user.state is State.PENDING and not user.lost:",
        "        if user is not None:",
        ("tests/store/test_links.py",),
    ),
    # -- whose account ---------------------------------------------------------------------------
    Rule(
        "of several accounts none is taken",
        "core/matching.py",
        "    if len(found) > 1:",
        "    if False:",
        (_ADOPTION,),
    ),
    Rule(
        "an account that is linked to another key is not taken",
        "core/matching.py",
        "    if linked is not None and linked != key:",
        "    if False:",
        (_ADOPTION,),
    ),
    Rule(
        "an account with another mark is not taken",
        "core/matching.py",
        '    if by != "externalId" and account.external_id not in ("", external_id):',
        "    if False:",
        (_ADOPTION,),
    ),
    Rule(
        "an e-mail hands over an account in a verified domain alone",
        "compare.py",
        "self._target.profile.adopt_by_email and self._target.is_verified(desired.attributes):",
        "self._target.profile.adopt_by_email:",
        (_ADOPTION,),
    ),
    Rule(
        "a native group is not taken over for its name",
        "compare_groups.py",
        "        if not self._target.adopt_groups:",
        "        if False:",
        (_ADOPTION,),
    ),
    Rule(
        "a native group that a create collides with is not taken over for its name",
        "collisions.py",
        "        if not self._adopt_groups:",
        "        if False:",
        ("tests/push/test_adoption.py::test_a_native_group_of_the_same_name_is_never_taken_over",),
    ),
    Rule(
        "what a filter finds is looked at again",
        "scim/client.py",
        "            if id_ and there is not None and same:",
        "            if id_ and there is not None:",
        (_CLIENT,),
    ),
    Rule(
        "what an endpoint answers a create with is not taken from its owner",
        "gate.py",
        "        if owner != key:\n            raise Taken",
        "        if False:\n            raise Taken",
        ("tests/push/test_adoption.py::test_an_endpoint_that_answers_a_create_with_what_it_has_links_nobody_twice",),
    ),
    Rule(
        "takeovers by colliding creates are limited",
        "collisions.py",
        "        if self._takeovers <= 0:",
        "        if False:",
        (f"{_TAKING_OVER}::test_no_more_accounts_are_taken_over_in_a_run_than_the_limit_says",),
    ),
    Rule(
        "what is taken over is looked at once more",
        "core/drift.py",
        "    return bool(expected == found)",
        "    return True",
        (_TAKING_OVER,),
    ),
    Rule(
        "two keys with one address are both left alone",
        "claims.py",
        "                self._clashes.append(Clash(address, (owner, key)))",
        "                pass",
        (_CLAIMS,),
    ),
    Rule(
        "an account is handed to another key by a person alone",
        "compare.py",
        '        self._doubts[key] = Doubt(\n            "rehire",',
        '        _ = Doubt(\n            "rehire",',
        (_CLAIMS,),
    ),
    Rule(
        "a user is in one group where there is room for one",
        "compare_groups.py",
        "            if place.setdefault(member, name) != name:".replace("            if", "                if"),
        "                if False:",
        (_ABSENCE,),
    ),
    # -- writing ---------------------------------------------------------------------------------
    Rule(
        "only the gate makes links",
        "gate.py",
        "if seal is not _SEAL:",
        "if False:",
        (_GATE,),
    ),
    Rule(
        "a change whose precondition no longer holds is refused",
        "gate.py",
        "        if attributes.get(path) != value:",
        "        if False:",
        (_PRECONDITIONS,),
    ),
    Rule(
        "where everything is gone the target stops",
        "gate.py",
        "        if not self._there and len(self._lost) >= _GONE_AFTER:",
        "        if False:",
        (f"{_LOST}::test_five_that_are_gone_and_nothing_else_stop_the_target",),
    ),
    Rule(
        "what is refused for good is quarantined",
        "core/quarantine.py",
        "    return 400 <= status < 500 and status not in _PASSING",
        "    return False",
        (_SETTLING,),
    ),
    Rule(
        "a plan that was changed by hand is refused",
        "core/plan.py",
        "        if claimed != fingerprint(",
        "        if False and claimed != fingerprint(",
        ("tests/core/test_plan.py",),
    ),
    Rule(
        "one member is removed by a path that means nobody else",
        "scim/resources.py",
        '    return [{"op": "remove", "path": f"members[value eq {quote(id_)}]"} for id_ in ids]',
        '    return [{"op": "remove", "path": "members"} for id_ in ids]',
        (f"{_CLIENT}::test_removing_sends_a_filter_per_member_never_the_bare_attribute",),
    ),
    Rule(
        "a dead id is never sent again",
        "store/users.py",
        "WHERE target = ? AND lost = 0 AND key IN",
        "WHERE target = ? AND key IN",
        ("tests/store/test_links.py",),
    ),
    Rule(
        "leavers come first",
        "push.py",
        "groupby(plan.changes, key=lambda change: change.phase)",
        "[(0, plan.changes)]",
        ("tests/push/test_order.py",),
    ),
    # -- what a profile forbids --------------------------------------------------------------------
    Rule(
        "nobody is deleted where DELETE doesn't delete",
        "compare.py",
        " or not self._deletes else",
        " else",
        ("tests/test_compare_profiles.py",),
    ),
    Rule(
        "an invitation is not withdrawn by a DELETE that doesn't delete",
        "compare.py",
        "target.pending if self._deletes else",
        "target.pending if True else",
        ("tests/test_compare_profiles.py",),
    ),
    Rule(
        "a group that can't be renamed keeps its name",
        "compare_groups.py",
        "        if profile.group_rename or there == wanted:",
        "        if True:",
        ("tests/test_compare_profiles.py",),
    ),
    Rule(
        "deleting is refused where nobody can be deleted",
        "settings_target.py",
        '        if after is not None and profile is not None and profile.deletes != "deletes":',
        "        if False:",
        ("tests/test_settings_target.py",),
    ),
    # -- reading the target ----------------------------------------------------------------------
    Rule(
        "who is not listed is asked for by id",
        "reading.py",
        "            return False if error.status == 404 else None",
        "            return False",
        (_READING,),
    ),
    Rule(
        "everything gone is one incident",
        "reading.py",
        "            if expected < _ENOUGH_TO_BE_EVERYTHING or any(self._there[kind] for kind in kinds):",
        "            if True:",
        (f"{_READING}::test_all_users_and_groups_gone_is_one_incident",),
    ),
    Rule(
        "a target that was stopped stays so until a person says otherwise",
        "sync.py",
        '    if stop is not None and stop.cause == "gone" and not planned.proven:',
        "    if False:",
        ("tests/push/test_stopped.py",),
    ),
    Rule(
        "a stopped target goes on only after a reading that left no doubt",
        "planning.py",
        "    proven = not any(reading.unclear.values())",
        "    proven = True",
        (f"{_LUCIDLINK}::test_a_stopped_target_does_not_go_on_because_ids_are_not_answered",),
    ),
    Rule(
        "a token that is taken again says nothing of what is behind it",
        "sync.py",
        "                    await _probe(client, snapshot, target)\n",
        "",
        (f"{_LUCIDLINK}::test_sso_removed_is_one_incident_and_nothing_is_made_anew_until_a_person_says_so",),
    ),
    Rule(
        "from an incomplete list nobody is absent",
        "scim/listing.py",
        "        if self._total is not None and count < self._total:",
        "        if False:",
        ("tests/scim/test_listing.py",),
    ),
    Rule(
        "members that are never shown are unknown",
        "reading.py",
        '        if self._profile.members_read == "group" or showed or not short:',
        "        if True:",
        (f"{_DRIFT}::test_members_that_are_never_shown_are_unknown",),
    ),
    Rule(
        "a filter over users that finds somebody in a group that doesn't exist is no filter",
        "reading.py",
        "        if nobodys:",
        "        if False:",
        (f"{_OF_PROFILES}::test_a_filter_that_is_ignored_says_nothing_of_anybody",),
    ),
    Rule(
        "who is in a group is not known from an incomplete answer",
        "reading.py",
        "        return None if doubt else ids",
        "        return ids",
        (f"{_OF_PROFILES}::test_members_of_a_group_that_is_answered_for_in_part_are_left_as_they_are",),
    ),
    Rule(
        "attributes that are never shown are unknown",
        "reading.py",
        "            if unshown := (",
        "            if unshown := set() and (",
        ("tests/test_reading_unshown.py",),
    ),
    Rule(
        "who is off and hidden is not taken for deleted",
        "reading.py",
        "        if self._shows_off or expected:",
        "        if True:",
        (f"{_READING}::test_who_is_off_and_answered_404_may_be_there",),
    ),
    Rule(
        "whose token it is, is protected",
        "reading.py",
        "        if own:\n            self._protected[own]",
        "        if False:\n            self._protected[own]",
        (f"{_READING}::test_the_tokens_own_account_is_protected_and_asked_for_once",),
    ),
    Rule(
        "what is only to be reported is not put back",
        "reconciling.py",
        "        if each.reaction is Reaction.ENFORCE:\n            snapshot.observe(each)",
        "        if True:\n            snapshot.observe(each)",
        (_DRIFT,),
    ),
    Rule(
        "what has moved since it was seen is left alone",
        "store/snapshot.py",
        'user.lost or not _still({"userName": user.name, **user.attributes}, drift.expected):',
        "user.lost:",
        (_OBSERVING,),
    ),
    Rule(
        "a suffix of the endpoint's own is no rename",
        "reading.py",
        ".removesuffix(self._profile.group_suffix)\n        members",
        "\n        members",
        (_READING, _DRIFT),
    ),
    Rule(
        "native members are no drift",
        "core/drift.py",
        "    if came := _members(seen_members[0] - members[0], seen_members[1] - members[1]):",
        "    if came := {'members': ['somebody']}:",
        (_DRIFT,),
    ),
    Rule(
        "one process at a time",
        "store/lease.py",
        "            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        ("tests/store/test_lease.py",),
    ),
    Rule(
        "a token does not follow a redirect to another host",
        "scim/transport.py",
        "        if (there.scheme, there.hostname, port or _PORTS.get(there.scheme)) != (",
        "        if not (",
        ("tests/scim/test_transport.py",),
    ),
    # -- secrets, and text from outside ----------------------------------------------------------
    Rule(
        "a secret that others can read is refused",
        "sections.py",
        "        if private and wider:",
        "        if False:",
        ("tests/test_secrets.py",),
    ),
    Rule(
        "a secret written into the configuration is refused and not repeated",
        "sections.py",
        '        raise PydanticCustomError("secret_written", "{wanted}", {"wanted": _NAME_IT})',
        "        pass",
        ("tests/test_secrets.py",),
    ),
    Rule(
        "no text from outside moves the cursor",
        "report/words.py",
        "    if text.isprintable():\n        return text",
        "    if True:\n        return text",
        ("tests/test_explain.py::test_hostile_text_moves_no_cursor",),
    ),
    Rule(
        "a state file of a newer version is refused",
        "store/statefile.py",
        "        if newer := known - mine:",
        "        if newer := set():",
        ("tests/store/test_statefile.py::test_a_file_of_a_newer_version_is_refused_and_left_alone",),
    ),
    # -- reports: what people call themselves does nothing ---------------------------------------------
    Rule(
        "control and bidirectional characters are shown as escapes",
        "report/words.py",
        "    if text.isprintable():",
        "    if True:",
        ("tests/report/test_review.py",),
    ),
    Rule(
        "text is escaped where it becomes markup",
        "report/markup.py",
        "        return Markup(escape(parts))",
        "        return Markup(parts)",
        (_HTML,),
    ),
    Rule(
        "attributes of markup are escaped",
        "report/markup.py",
        '="{escape(value)}"',
        '="{value}"',
        (_HTML,),
    ),
    Rule(
        "what the page's script reads can't end its element",
        "report/html.py",
        "        text = text.replace(char, escaped)",
        "        pass",
        (_HTML,),
    ),
    Rule(
        "a page lets nothing be fetched",
        "report/html.py",
        "\"default-src 'none'; script-src",
        '"script-src',
        (_HTML,),
    ),
    Rule(
        "a page runs its own script and no other",
        "report/html.py",
        "script-src 'sha256-{_hash(script)}'",
        "script-src 'unsafe-inline'",
        (_HTML,),
    ),
    Rule(
        "a code span ends where it should",
        "report/markdown.py",
        '    fence = "`" * (longest + 1)',
        '    fence = "`"',
        (_FORMATS,),
    ),
    Rule(
        "prose in Markdown means itself",
        "report/markdown.py",
        '_PUNCTUATION.sub(r"\\\\\\1", text)',
        "text",
        (_FORMATS,),
    ),
    Rule(
        "nobody is called by a ticket",
        "report/markdown.py",
        '_CALLS.sub(r"\\1<!-- -->", ',
        "(",
        (_FORMATS,),
    ),
    Rule(
        "no cell of a spreadsheet is a formula",
        "report/csv.py",
        """    return f"'{cell}" if""",
        "    return cell if",
        (_FORMATS,),
    ),
)
