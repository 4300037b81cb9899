"""Who may see what, of the people that an identity provider knows: by name here, or by the claims that it tells.

`[[people]]` names a person by the provider's subject, or by an e-mail address that it says is verified. Without such an
entry the claims that `[sign_in]` names count. Whoever has neither sees nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass

from metrics.authorisation.viewer import ROLES, Role
from metrics.configuration.toml_table import Table


@dataclass(frozen=True)
class Person:
    """One person. What is empty does not limit, but a client always says whose."""

    role: Role
    subject: str = ""
    email: str = ""
    clients: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claims:
    """The names of the claims that say a person's role and limits; "" is not asked for."""

    role: str = ""
    clients: str = ""
    campaigns: str = ""
    sites: str = ""


def claims_of(top: Table) -> Claims:
    table = top.table("sign_in")
    names = ("role", "clients", "campaigns", "sites")
    table.allow(*(f"{name}_claim" for name in names))
    claims = Claims(*(table.text(f"{name}_claim", "") for name in names))
    if table.values and not claims.role:
        table.refuse((), "`role_claim` is missing, allowed is the name of a claim")
    return claims


def people_of(top: Table, clients: Collection[str], campaigns: Collection[str]) -> tuple[Person, ...]:
    people: list[Person] = []
    for table in top.array("people"):
        table.allow("subject", "email", "role", "clients", "campaigns", "sites")
        if ("subject" in table.values) == ("email" in table.values):
            table.refuse((), "a person is named by `subject` or by `email`, allowed is one of them")
        person = Person(
            role=next(role for role in ROLES if role == table.choice("role", None, ROLES)),
            subject=table.text("subject", ""),
            email=table.text("email", "").casefold(),
            clients=table.texts("clients", clients),
            campaigns=table.texts("campaigns", campaigns),
            sites=table.texts("sites"),
        )
        if person.role == "client" and not (person.clients or person.campaigns):
            table.refuse((), "a client sees somebody's campaigns, allowed are `clients`, `campaigns` or both")
        if any((one.subject, one.email) == (person.subject, person.email) for one in people):
            table.refuse((), f"`{person.subject or person.email}` is named before, allowed is each person once")
        people.append(person)
    return tuple(people)
