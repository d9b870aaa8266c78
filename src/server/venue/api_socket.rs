//! The WebSocket API: requests over a socket, sessions and user-data subscriptions.

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::clock::wall_now;
use super::front::{Delivery, Front};
use super::gate::Switch;
use super::hub::{ListenerId, Road, Subscription};
use super::json::{Object, TimeUnit, push_list, push_text};
use super::keys::check_time;
use super::link::{self, LinkLimits};
use super::operation::Operation;
use super::params::Params;
use super::refusal::Refusal;
use super::rest::json;
use super::shared::Shared;
use super::trading::push_order_count;
use super::weight::WEIGHT_LIMIT;
use crate::sim::AccountId;
use crate::types::TimestampNs;

/// A connection, a session call and a subscription each cost this much weight.
const SESSION_WEIGHT: u32 = 2;
const MESSAGE_MAX: usize = 64 * 1024;

/// Accepts a connection to the WebSocket API.
pub async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let refuse = |refusal: Refusal| {
        let mut body = String::new();
        refusal.push_body(&mut body);
        json(StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST), body)
    };
    let Ok(upgrade) = upgrade else { return refuse(Refusal::unsupported(400)) };
    let params = Params::from_query_and_body(uri.query().unwrap_or(""), "");
    let unit = match params.get("timeUnit").map(TimeUnit::parse) {
        None => TimeUnit::Millis,
        Some(Some(unit)) => unit,
        Some(None) => return refuse(Refusal::bad(-1194, "Invalid value for time unit.")),
    };
    let (id, inbox) = {
        let mut front = shared.lock();
        if let Err(refusal) = front.charge(SESSION_WEIGHT) {
            return refuse(refusal);
        }
        front.hub.join(Road::Api, unit, false, switch)
    };
    let mut session = Session {
        id,
        unit,
        logon: None,
        connected: wall_now(),
        tells_limits: params.flag("returnRateLimits").ok().flatten().unwrap_or(true),
        next_subscription: 0,
    };
    let failed = Arc::clone(&shared);
    upgrade.max_message_size(MESSAGE_MAX).on_failed_upgrade(move |_| failed.lock().hub.leave(id)).on_upgrade(
        move |socket| async move {
            link::serve(socket, inbox, LinkLimits::API, |text| session.answer(&mut shared.lock(), text)).await;
            shared.lock().hub.leave(id);
        },
    )
}

#[derive(Deserialize)]
struct ApiRequest<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// Who logged on, by which key, and when.
#[derive(Clone, Debug)]
struct Logon {
    account: AccountId,
    api_key: String,
    since: TimestampNs,
}

/// What a connection has agreed on so far.
#[derive(Debug)]
struct Session {
    id: ListenerId,
    unit: TimeUnit,
    logon: Option<Logon>,
    connected: TimestampNs,
    tells_limits: bool,
    next_subscription: u16,
}

impl Session {
    /// Answers one frame; `None` when the answer comes later or never.
    fn answer(&mut self, front: &mut Front, text: &str) -> Option<String> {
        let request = match serde_json::from_str::<ApiRequest<'_>>(text) {
            Ok(request) => request,
            Err(_) => ApiRequest { id: None, method: None, params: None },
        };
        let id = request.id.map_or("null", RawValue::get);
        let params = request.params.map_or(Some(Params::default()), |raw| Params::from_json(raw.get()));
        let (mut account, mut tells_limits) = (None, self.tells_limits);
        let mut counts_orders = false;
        let mut delivery = Delivery::Now;
        let result = match (&request.method, params) {
            (Some(method), Some(params)) => {
                if let Ok(Some(wanted)) = params.flag("returnRateLimits") {
                    tells_limits = wanted;
                }
                let method = method.strip_prefix("v3/").unwrap_or(method);
                match Operation::of_websocket(method) {
                    Some(operation) => {
                        let sender = self.sender(front, operation, &params);
                        account = sender.as_ref().ok().copied().flatten();
                        counts_orders = operation.counts_orders();
                        let (answer, how) = front.serve(operation, sender, &params, self.unit);
                        delivery = how;
                        answer
                    }
                    None => front.charge(SESSION_WEIGHT).and_then(|()| self.session_call(front, method, &params)),
                }
            }
            (None, _) => {
                Err(Refusal::bad(-1102, "Mandatory parameter 'method' was not sent, was empty/null, or malformed."))
            }
            (_, None) => {
                Err(Refusal::bad(-1102, "Mandatory parameter 'params' was not sent, was empty/null, or malformed."))
            }
        };
        let mut out = String::with_capacity(1_024);
        let mut object = Object::open(&mut out);
        object.raw("id", id);
        match &result {
            Ok(result) => object.plain("status", 200).raw("result", result),
            Err(refusal) => object.plain("status", refusal.status).with("error", |out| refusal.push_body(out)),
        };
        if tells_limits {
            let counts = account.filter(|_| counts_orders).map(|account| front.order_counts(account));
            let used = front.used_weight();
            object.with("rateLimits", |out| {
                push_list(out, counts.iter().flatten(), push_order_count);
                // The list is written; its weight comes last, inside the same brackets.
                out.pop();
                if counts.iter().flatten().next().is_some() {
                    out.push(',');
                }
                Object::open(out)
                    .text("rateLimitType", "REQUEST_WEIGHT")
                    .text("interval", "MINUTE")
                    .plain("intervalNum", 1)
                    .plain("limit", WEIGHT_LIMIT)
                    .plain("count", used)
                    .end();
                out.push(']');
            });
        }
        object.end();
        match delivery {
            Delivery::Now => Some(out),
            Delivery::Late(late) => {
                front.hold_answer(self.id, late, out);
                None
            }
            Delivery::Never => None,
        }
    }

    /// Whose request it is: by its own key and signature, or by the session's logon.
    fn sender(&self, front: &Front, operation: Operation, params: &Params) -> Result<Option<AccountId>, Refusal> {
        if !operation.is_signed() {
            return Ok(None);
        }
        if params.get("apiKey").is_none()
            && params.get("signature").is_none()
            && let Some(logon) = &self.logon
        {
            check_time(wall_now(), params)?;
            return Ok(Some(logon.account));
        }
        self.signed_by(front, params).map(Some)
    }

    fn signed_by(&self, front: &Front, params: &Params) -> Result<AccountId, Refusal> {
        let key = params.required("apiKey")?;
        front.keys.authenticate(wall_now(), Some(key), params, &params.websocket_payload())
    }

    fn session_call(&mut self, front: &mut Front, method: &str, params: &Params) -> Result<String, Refusal> {
        match method {
            "session.logon" => {
                // Binance takes Ed25519 keys only here. HMAC keys are let in too, because clients that hold one try.
                let account = self.signed_by(front, params)?;
                let api_key = params.required("apiKey")?.to_owned();
                self.logon = Some(Logon { account, api_key, since: wall_now() });
                Ok(self.status(front))
            }
            "session.status" => Ok(self.status(front)),
            "session.logout" => {
                self.logon = None;
                self.end_subscriptions(front, |subscription| subscription.by_logon);
                Ok(self.status(front))
            }
            "session.subscriptions" => {
                let mut out = String::new();
                let subscriptions =
                    front.hub.listener(self.id).map(|one| one.subscriptions.clone()).unwrap_or_default();
                push_list(&mut out, subscriptions, |out, subscription| {
                    Object::open(out).plain("subscriptionId", subscription.id).end();
                });
                Ok(out)
            }
            "userDataStream.subscribe" => {
                let account = self.logon.as_ref().map(|logon| logon.account).ok_or_else(Refusal::unknown_key)?;
                self.subscribe(front, account, true)
            }
            "userDataStream.subscribe.signature" => {
                let account = self.signed_by(front, params)?;
                self.subscribe(front, account, false)
            }
            "userDataStream.unsubscribe" => {
                let chosen = params.whole("subscriptionId")?;
                let ended = self.end_subscriptions(front, |one| chosen.is_none_or(|id| u64::from(one.id) == id));
                if !ended {
                    return Err(Refusal::bad(-2036, "User Data Stream subscription not active."));
                }
                Ok("{}".to_owned())
            }
            _ => Err(Refusal::unsupported(400)),
        }
    }

    fn subscribe(&mut self, front: &mut Front, account: AccountId, by_logon: bool) -> Result<String, Refusal> {
        let listener = front.hub.listener(self.id).ok_or_else(|| Refusal::unsupported(400))?;
        if listener.subscriptions.iter().any(|one| one.account == account) {
            return Err(Refusal::bad(-2035, "User Data Stream subscription already active."));
        }
        let id = self.next_subscription;
        self.next_subscription =
            id.checked_add(1).ok_or_else(|| Refusal::bad(-2042, "Subscription ids are used up."))?;
        listener.subscriptions.push(Subscription { id, account, by_logon });
        Ok(format!(r#"{{"subscriptionId":{id}}}"#))
    }

    /// Ends the subscriptions that `chosen` names and tells each so. Returns whether there were any.
    fn end_subscriptions(&self, front: &mut Front, chosen: impl Fn(&Subscription) -> bool) -> bool {
        let Some(listener) = front.hub.listener(self.id) else { return false };
        let ended: Vec<u16> = listener.subscriptions.iter().filter(|one| chosen(one)).map(|one| one.id).collect();
        listener.subscriptions.retain(|one| !ended.contains(&one.id));
        let at = self.unit.of(wall_now());
        for id in &ended {
            let event = format!(r#"{{"subscriptionId":{id},"event":{{"e":"eventStreamTerminated","E":{at}}}}}"#);
            front.hub.tell(self.id, event);
        }
        !ended.is_empty()
    }

    fn status(&self, front: &mut Front) -> String {
        let mut out = String::with_capacity(256);
        let has_stream =
            front.hub.listener(self.id).is_some_and(|listener| listener.subscriptions.iter().any(|one| one.by_logon));
        let mut object = Object::open(&mut out);
        match &self.logon {
            Some(logon) => object
                .with("apiKey", |out| push_text(out, &logon.api_key))
                .plain("authorizedSince", self.unit.of(logon.since)),
            None => object.raw("apiKey", "null").raw("authorizedSince", "null"),
        };
        object
            .plain("connectedSince", self.unit.of(self.connected))
            .plain("returnRateLimits", self.tells_limits)
            .plain("serverTime", self.unit.of(wall_now()))
            .plain("userDataStream", has_stream)
            .end();
        out
    }
}
