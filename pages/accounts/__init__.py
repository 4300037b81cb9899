"""Who may look: accounts of this machine or people that an identity provider knows, and the door in front of it all.

store.py       the accounts of this machine: people with a password, televisions with a token
passwords.py   how a password and a token are kept, and what makes a good password
sessions.py    the signed cookie that says who signed in
access.py      from a cookie to a Viewer, asked anew every time
provider.py    who comes back from an identity provider
attempts.py    how often somebody may try
sign_in.py     the pages and routes for signing in and out
forms.py       their HTML
asked.py       what a request tells about who sent it
visitor.py     who looks at a page and in which language, and the menus for both
gate.py        lets nobody past without a Viewer, over HTTP and over the websocket
start.py       what must hold before the dashboard starts

`python -m pages.accounts` adds, lists and removes accounts. docs/sign-in.md tells how to set each way up.
"""
