//! REST: one handler for every route, because the signature is over the raw bytes of query and body.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::admin;
use super::clock::wall_now;
use super::front::{Delivery, Front};
use super::gate::Switch;
use super::json::TimeUnit;
use super::market::interval_words;
use super::operation::Operation;
use super::params::{Params, without_signature};
use super::refusal::Refusal;
use super::shared::Shared;
use crate::sim::AccountId;

/// No request of this protocol is longer.
const BODY_MAX: usize = 256 * 1024;

/// An answer before it becomes a response.
struct Reply {
    status: u16,
    body: String,
    account: Option<AccountId>,
    operation: Option<Operation>,
    retry_after_s: Option<u64>,
    delivery: Delivery,
}

/// Answers any request that is not a WebSocket.
pub async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match to_bytes(body, BODY_MAX).await {
        Ok(bytes) => bytes,
        Err(_) => return json(StatusCode::PAYLOAD_TOO_LARGE, "{\"code\":-1100,\"msg\":\"Request too large.\"}".into()),
    };
    let path = parts.uri.path();
    let (response, delivery) = {
        let mut front = shared.lock();
        let query = parts.uri.query().unwrap_or("");
        let reply = match std::str::from_utf8(&body) {
            Ok(body) => match admin::answer(&mut front, parts.method.as_str(), path, body) {
                Some(Ok(page)) => return json(StatusCode::OK, page),
                Some(Err(refusal)) => refuse(refusal, None, None),
                None => answer(&mut front, parts.method.as_str(), path, query, body, &parts.headers),
            },
            Err(_) => refuse(Refusal::illegal("body", "UTF-8"), None, None),
        };
        let delivery = reply.delivery;
        (respond(&mut front, reply), delivery)
    };
    match delivery {
        Delivery::Now => response,
        Delivery::Late(late) => {
            tokio::time::sleep(Duration::from_nanos(late.nanos())).await;
            response
        }
        Delivery::Never => {
            // The connection's task ends with its socket, and this request with it.
            switch.close();
            std::future::pending().await
        }
    }
}

fn answer(front: &mut Front, method: &str, path: &str, query: &str, body: &str, headers: &HeaderMap) -> Reply {
    let Some(operation) = Operation::of_rest(method, path) else {
        // The listen-key road is gone for good (2026-02-20); anything else is simply not here. Neither is a bare 404,
        // which clients take for an exchange that is down.
        let status = if path.starts_with("/api/v3/userDataStream") { 410 } else { 400 };
        let refusal = front.charge(1).err().unwrap_or_else(|| Refusal::unsupported(status));
        return refuse(refusal, None, None);
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let unit = match text("X-MBX-TIME-UNIT").map(TimeUnit::parse) {
        None => TimeUnit::Millis,
        Some(Some(unit)) => unit,
        Some(None) => return refuse(Refusal::bad(-1194, "Invalid value for time unit."), Some(operation), None),
    };
    let params = Params::from_query_and_body(query, body);
    let sender = if operation.is_signed() {
        let payload = without_signature(query) + &without_signature(body);
        front.keys.authenticate(wall_now(), text("X-MBX-APIKEY"), &params, &payload).map(Some)
    } else {
        Ok(None)
    };
    let account = sender.as_ref().ok().copied().flatten();
    let (answer, delivery) = front.serve(operation, sender, &params, unit);
    let reply = match answer {
        Ok(body) => Reply {
            status: 200,
            body,
            account,
            operation: Some(operation),
            retry_after_s: None,
            delivery: Delivery::Now,
        },
        Err(refusal) => refuse(refusal, Some(operation), account),
    };
    Reply { delivery, ..reply }
}

fn refuse(refusal: Refusal, operation: Option<Operation>, account: Option<AccountId>) -> Reply {
    let mut body = String::with_capacity(128);
    refusal.push_body(&mut body);
    let retry_after_s = refusal.retry_after_s;
    Reply { status: refusal.status, body, account, operation, retry_after_s, delivery: Delivery::Now }
}

fn respond(front: &mut Front, reply: Reply) -> Response {
    let mut builder = Response::builder()
        .status(reply.status)
        .header(header::CONTENT_TYPE, "application/json;charset=UTF-8")
        .header("X-MBX-USED-WEIGHT", front.used_weight())
        .header("X-MBX-USED-WEIGHT-1M", front.used_weight());
    if let Some(seconds) = reply.retry_after_s {
        builder = builder.header(header::RETRY_AFTER, seconds);
    }
    if let (Some(account), Some(operation)) = (reply.account, reply.operation)
        && operation.counts_orders()
    {
        for count in front.order_counts(account) {
            let (interval, number) = interval_words(&count.limit);
            let name = format!("X-MBX-ORDER-COUNT-{number}{}", &interval[..1]);
            builder = builder.header(name, count.count);
        }
    }
    builder.body(Body::from(reply.body)).expect("names and values of these headers are plain text")
}

/// A JSON response without the protocol's headers.
pub fn json(status: StatusCode, body: String) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json;charset=UTF-8")
        .body(Body::from(body))
        .expect("the header is plain text")
}
