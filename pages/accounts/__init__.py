"""Who may see the dashboard: accounts of this machine, people of an identity provider, and the gate that checks both.

store.py       the accounts of this machine: people with a password, televisions with a token
passwords.py   how passwords and tokens are stored and checked
sessions.py    the signed cookie that says who signed in
access.py      from a cookie to a Viewer, checked at every request
provider.py    signing in through an identity provider
attempts.py    the limit on failed attempts
sign_in.py     the routes for signing in and out
forms.py       their pages, as HTML
request.py     what a request says about its sender
visitor.py     the viewer and the language of a page, and the menus for both
headers.py     the headers of every response
gate.py        lets nobody through without a Viewer, over HTTP and over the websocket
start.py       what is checked before the dashboard starts

`python -m pages.accounts` adds, lists and removes accounts. docs/sign-in.md describes how to set up each way in.
"""
