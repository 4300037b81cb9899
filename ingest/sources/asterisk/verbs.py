"""The events of queue_log by what they mean: Asterisk's own, and those that VICIdial, Wazo and QueueMetrics add."""

# for callers who are refused before they wait, and the reason
REFUSED = {
    "JOINEMPTY": "no_agents",
    "CLOSED": "closed",
    "FULL": "full",
    "DIVERT_CA_RATIO": "overflow",
    "DIVERT_HOLDTIME": "overflow",
}
# for callers who waited and are removed from the queue because its last agent left
EMPTY = ("EXITEMPTY", "LEAVEEMPTY")
ENDED_BY = {"COMPLETEAGENT": "agent", "COMPLETECALLER": "customer"}
TRANSFERS = ("TRANSFER", "BLINDTRANSFER", "ATTENDEDTRANSFER")
HOLDS = {"CALLERONHOLD": "call.held", "CALLEROFFHOLD": "call.resumed"}
RINGS = ("RINGNOANSWER", "RINGCANCELED", "AGENTDUMP")
# the contract has no event for these
SILENT = ("CONFIGRELOAD", "DID", "PENALTY", "RINGINUSE")
# notes on a call, which no figure needs, or not always; their names may be told, because they are ours
NOTES = ("CALLSTATUS", "INFO")

# what DIALSTATUS says of an attempt that reached nobody
NOT_CONNECTED = {
    "BUSY": "busy",
    "NOANSWER": "no_answer",
    "CANCEL": "no_answer",
    "CHANUNAVAIL": "invalid",
    "CONGESTION": "invalid",
    "INVALIDARGS": "invalid",
    "DONTCALL": "refused",
    "TORTURE": "refused",
}

OF_AGENTS = {
    *RINGS,
    *("ADDMEMBER", "ADDMEMBER2", "REMOVEMEMBER", "PAUSE", "UNPAUSE", "PAUSEALL", "UNPAUSEALL"),
    *("PAUSEREASON", "WRAPUPSTART", "AGENTLOGIN", "AGENTLOGOFF", "AGENTCALLBACKLOGIN", "AGENTCALLBACKLOGOFF"),
}
OF_QUEUES = {"ADDMEMBER", "ADDMEMBER2", "REMOVEMEMBER", "PAUSE", "UNPAUSE"}
OF_CALLS = {
    *("ENTERQUEUE", "CALLOUTBOUND", "OUTCALL", "ABANDON", "EXITWITHTIMEOUT", "EXITWITHKEY", "SYSCOMPAT", "WITHDRAW"),
    *("CONNECT", *RINGS, *REFUSED, *EMPTY, *ENDED_BY, *TRANSFERS, *HOLDS),
}
NO_CALLS = ("", "NONE", "MANAGER", "REALTIME", "CLI")  # instead of a channel, in lines that are about no call
