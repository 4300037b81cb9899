"""What the users of an identity provider may see: by an entry for the person, or by the provider's claims.

`[[people]]` names a person by the provider's subject, or by an e-mail address that the provider has verified. For a
person without such an entry, the claims named in `[sign_in]` decide. A person with neither sees nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass

from metrics.authorisation.viewer import ROLES, Role
from metrics.configuration.toml_table import Table


@dataclass(frozen=True)
class Person:
    """One person. A list that the file leaves out does not limit them, but a client has `clients` or `campaigns`."""

    role: Role
    subject: str = ""
    email: str = ""
    clients: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claims:
    """The names of the claims with a person's role and limits; "": this claim is not used."""

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
            table.refuse((), "a person is named by `subject` or by `email`, allowed is exactly one of them")
        for key in ("clients", "campaigns", "sites"):
            if table.values.get(key) == []:  # nobody can tell whether it means all or none
                what = f"`{key}` is empty, allowed is a list of one or more"
                table.refuse((key,), f"{what}; without `{key}` there is no limit")
        person = Person(
            role=next(role for role in ROLES if role == table.choice("role", None, ROLES)),
            subject=table.text("subject", ""),
            email=table.text("email", "").casefold(),
            clients=table.texts("clients", clients),
            campaigns=table.texts("campaigns", campaigns),
            sites=table.texts("sites"),
        )
        if person.role == "client" and not (person.clients or person.campaigns):
            table.refuse((), "a client has no campaigns to see, allowed are `clients`, `campaigns` or both")
        if any((other.subject, other.email) == (person.subject, person.email) for other in people):
            table.refuse((), f"`{person.subject or person.email}` is named twice, allowed is each person once")
        people.append(person)
    return tuple(people)
