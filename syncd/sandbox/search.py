"""Turn a SCIM filter into a condition that SQLite answers from an index, as far as one can.

A condition never leaves out a resource that the filter keeps. A condition that may keep more is not `exact`, and
the caller evaluates the filter on the results. Refuses to know about paging, sorting or presentation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from unicodedata import normalize

from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)

from syncd.sandbox.resources import GROUP, USER, Query, comparable

MEMBER_OF = "seq IN (SELECT m.container FROM member m JOIN resource r ON r.seq = m.member WHERE r.id = ?)"
HAS_MEMBER = "seq IN (SELECT m.member FROM member m JOIN resource r ON r.seq = m.container WHERE r.id = ?)"
HAS_EMAIL = "seq IN (SELECT resource FROM email WHERE address = ?)"


def _exact(text: str) -> str:
    return normalize("NFC", text)


INDEXED: dict[tuple[str, str], tuple[str, Callable[[str], str]]] = {
    (USER, "id"): ("id = ?", _exact),
    (USER, "externalid"): ("external_id = ?", _exact),
    (USER, "username"): ("name_key = ?", comparable),
    (USER, "emails"): (HAS_EMAIL, comparable),
    (USER, "emails.value"): (HAS_EMAIL, comparable),
    (USER, "groups"): (HAS_MEMBER, _exact),
    (USER, "groups.value"): (HAS_MEMBER, _exact),
    (GROUP, "id"): ("id = ?", _exact),
    (GROUP, "externalid"): ("external_id = ?", _exact),
    (GROUP, "displayname"): ("name_key = ?", comparable),
    (GROUP, "members"): (MEMBER_OF, _exact),
    (GROUP, "members.value"): (MEMBER_OF, _exact),
}
"""Type and attribute to the condition for `eq` and the form that the value is stored in."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The part of a filter that SQLite can answer."""

    query: Query
    exact: bool
    """Whether the filter keeps every resource that the condition keeps."""


def condition(node: FilterNode, type_: str, unindexed: frozenset[str] = frozenset()) -> Condition:
    """Return the narrowest indexed condition for a filter on one resource type.

    `unindexed`: attributes (lower case) whose shown form differs from the stored form.
    """
    anything = Condition(Query(), exact=False)
    if isinstance(node, Comparison):
        name = _name(node.attr_path)
        found = INDEXED.get((type_, name))
        if found is None or name in unindexed or node.op != CompareOperator.eq or not isinstance(node.value, str):
            return anything
        where, form = found
        return Condition(Query(where, [form(node.value)]), exact=True)
    if isinstance(node, ValuePath):
        inner = condition(_lifted(node.attr_path, node.val_filter), type_, unindexed)
        return Condition(inner.query, exact=inner.exact and isinstance(node.val_filter, Comparison))
    if isinstance(node, LogicalExpr):
        terms = [condition(term, type_, unindexed) for term in node.terms]
        joint = " AND " if node.op == LogicalOperator.and_ else " OR "
        where = joint.join(f"({term.query.where})" for term in terms)
        parameters = [parameter for term in terms for parameter in term.query.parameters]
        return Condition(Query(where, parameters), all(term.exact for term in terms))
    return anything


def _name(path: AttrPath) -> str:
    """Return an attribute's name without its schema, in lower case: names compare so (RFC 7643 section 2.1)."""
    return (f"{path.attr}.{path.sub_attr}" if path.sub_attr else path.attr).lower()


def _lifted(outer: AttrPath, node: FilterNode) -> FilterNode:
    """Return `emails[value eq "x" and …]` as `emails.value eq "x" and …`, which is true of no fewer resources."""
    if isinstance(node, Comparison):
        return Comparison(AttrPath(outer.attr, node.attr_path.attr, outer.uri), node.op, node.value)
    if isinstance(node, LogicalExpr):
        return LogicalExpr(node.op, tuple(_lifted(outer, term) for term in node.terms))
    return node


class _Names(FilterVisitor[None]):
    """Collect the attributes that a filter names."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_not(self, node: Not) -> None:
        self.visit(node.expr)

    def visit_logical_expr(self, node: LogicalExpr) -> None:
        for term in node.terms:
            self.visit(term)

    def visit_present(self, node: Present) -> None:
        self.names.add(node.attr_path.attr.lower())

    def visit_comparison(self, node: Comparison) -> None:
        self.names.add(node.attr_path.attr.lower())

    def visit_value_path(self, node: ValuePath) -> None:
        self.names.add(node.attr_path.attr.lower())


def names(node: FilterNode) -> set[str]:
    """Return the attributes that a filter names, in lower case, without sub-attributes."""
    visitor = _Names()
    visitor.visit(node)
    return visitor.names
