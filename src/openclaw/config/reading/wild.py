"""Keys that configurations in the field contain and this version does not act on, so that it can say so kindly.

An entry covers everything below it. `*` stands for any name, `[]` for any list item.
"""

from __future__ import annotations

SILENT = frozenset({"$schema", "meta"})
"""Bookkeeping of editors and other gateways: carried along, never reported."""

_HEARTBEAT = """accountId agentId directPolicy includeReasoning isolatedSession lightContext
    suppressToolErrorWarnings to"""

_SANDBOX = "browser openshell perSession sessionToolsVisibility ssh workspaceRoot"
_DOCKER = """apparmorProfile containerPrefix dangerouslyAllowContainerNamespaceJoin dangerouslyAllowExternalBindSources
    dangerouslyAllowReservedContainerTargets dns env extraHosts gpus memorySwap seccompProfile setupCommand tmpfs
    ulimits workdir"""

_GROUPS: dict[str, str] = {
    "": """accessGroups acp approvals attachments auth bindings broadcast browser cloudWorkers commands desktop
        diagnostics discovery memory messages nodeHost plugins security
        store surfaces talk telemetry transcripts tts ui update wizard worktreeAcceleration worktreeRoot web
        audio media canvasHost""",
    "agents": "ownership",
    "agents.defaults": """authInheritance blockStreamingBreak blockStreamingChunk blockStreamingCoalesce
        blockStreamingDefault bootstrapMaxChars bootstrapTotalMaxChars contextInjection contextLimits
        contextPruning cwd decisionModel elevatedDefault embeddedAgent experimental fastModeDefault
        humanDelay imageMaxDimensionPx imageModel imageQuality mediaMaxMb mediaModels memorySearch modelPolicy
        modelSelectionScope models params pdfMaxMb pdfMaxPages pdfModel reasoningDefault repoRoot sessionStore
        silentReply skipBootstrap skipOptionalBootstrapFiles startupContext systemAgent
        toolProgressDetail typingIntervalSeconds typingMode utilityModel verboseDefault
        voiceModel""",
    "agents.list[]": """agentDir groupChat humanDelay identity memory memorySearch params runtime subagents""",
    "agents.defaults.heartbeat": _HEARTBEAT,
    "agents.list[].heartbeat": _HEARTBEAT,
    "agents.defaults.sandbox": _SANDBOX,
    "agents.list[].sandbox": _SANDBOX,
    "agents.defaults.sandbox.docker": _DOCKER,
    "agents.list[].sandbox.docker": _DOCKER,
    "agents.list[].tools": "alsoAllow byProvider elevated fs profile sandbox",
    "cron": "failureAlert runLog sessionRetention store triggers webhook webhookSsrfPolicy webhookToken",
    "gateway": """allowRealIpFallback allowTailscale cliAgents portals publicOrigin push rateLimit
        tailscale terminal tools""",
    "gateway.auth": "allowTailscale identityScopes",
    "gateway.auth.rateLimit": "exemptLoopback",
    "gateway.controlUi": """allowExternalEmbedUrls allowInsecureAuth automaticallyFetchFavicons
        communityInvite dangerouslyAllowHostHeaderOriginFallback dangerouslyDisableDeviceAuth embedSandbox
        environment experimental github sessionObserver""",
    "gateway.http.endpoints.chatCompletions": "images",
    "gateway.http.endpoints.responses": "files images maxUrlParts",
    "gateway.nodes": "allowSkills browser pairing pluginTools",
    "gateway.remote": """edgeAuth password remotePort sshHostKeyPolicy sshIdentity sshTarget transport""",
    "gateway.tls": "caPath",
    "hooks": "gmail internal maxBodyBytes presets transformsDir",
    "hooks.mappings[]": "channel deliver forEach sessionMode to transform",
    "logging": "audit consoleLevel file redactPatterns redactSensitive",
    "models": "mode",
    "proxy": "loopbackMode tls",
    "models.providers.*": """agentRuntime auth authHeader headers injectNumCtxForOpenAICompat localService maxTokens
        params request timeoutSeconds""",
    "models.providers.*.models[]": "api compat headers params",
    "secrets": "egressProxy resolution",
    "secrets.defaults": "store",
    "secrets.providers.*": "allowSymlinkCommand noOutputTimeoutMs pluginIntegration trustedDirs",
    "session": """dmScope groupScope identityLinks mainKey maintenance notifyOnCreate reset resetByChannel resetByType
        resetTriggers retention scope sendPolicy sharing store threadBindings""",
    "skills": "allowBundled entries install limits load workshop",
    "tools": """agentToAgent alsoAllow byProvider codeMode elevated fs github links loopDetection media message
        profile sandbox sessions sessions_spawn subagents swarm toolSearch toolsBySender updatePlan web""",
}

KNOWN_ELSEWHERE: dict[str, frozenset[str]] = {parent: frozenset(keys.split()) for parent, keys in _GROUPS.items()}
"""Keys by the pattern of their parent."""
