-- cimf.lua - what kamailio.cfg's request_route does, in Lua. kemi.cfg starts Kamailio with it.
--
-- In Kamailio's own language a script ends by itself where cimf answers a retransmission. Lua goes
-- on: so nothing comes back from handle_im() but what is not cimf's.

function ksr_request_route()
    local method = KSR.pv.get("$rm")

    -- Monitors ask whether we are alive. No state is kept for them.
    if method == "OPTIONS" then
        -- About a group or service? Then it is answered in there.
        handle_im()
        KSR.sl.send_reply(200, "OK")
        return 1
    end

    -- An ACK is never answered; it can only belong to one of our stateless refusals.
    if method == "ACK" then
        return 1
    end

    -- Group messages end in there. What comes back is not cimf's.
    handle_im()

    -- An instant message to our domain that lacks the feature tag g.oma.sip-im: there is nobody
    -- behind this proxy who could take it.
    if method == "MESSAGE" and is_served(KSR.pv.get("$rd")) then
        KSR.sl.send_reply(403, "Feature Tag Missing")
        return 1
    end

    -- What belongs to the core, or is only claimed, is taken out before anything is relayed.
    KSR.textops.remove_hf_re("^(P-.*|Remote-Party-ID|Diversion|History-Info|Resource-Priority)$")

    -- Everything else. This is the place for a real proxy's routing; as long as there is none,
    -- nothing is passed on: an open relay is worse than a 404.
    KSR.sl.send_reply(404, "Not Routed Here")
    return 1
end

-- Comes back for what is neither a group message nor a question about a group or service. Everything
-- else ends in here.
function handle_im()
    -- With identity_mode "digest": KSR.cimf.handle_as(identity), the user whose credentials this
    -- script has checked.
    local result = KSR.cimf.handle()
    if result == -1 then
        return
    end
    -- 1 accepted, 2 refused, 3 OPTIONS answered, 0 a retransmission, answered again. -2, an internal
    -- error: nothing was answered, the log says what happened.
    if result == -2 then
        KSR.sl.send_reply(500, "Server Internal Error")
    end
    KSR.x.exit()
end

-- Whether a domain is among DOMAINS of cimf-route.cfg, which have quotes around them.
function is_served(domain)
    local domains = KSR.pv.gete("$def(DOMAINS)"):gsub('"', "")
    return domain ~= nil and KSR.textops.in_list(domain:lower(), domains, ",") > 0
end

-- What has become of a copy, or of all copies of a message. The message here is the copy itself.
function ksr_outcome(event)
    -- The member is away: the place for a push notification.
    if event == "cimf:kept" then
        KSR.notice("kept message " .. KSR.pv.get("$cimf(id)") .. " of " .. KSR.pv.get("$cimf(group)")
            .. " for " .. KSR.pv.get("$cimf(recipient)") .. "\n")
    end
    return 1
end
