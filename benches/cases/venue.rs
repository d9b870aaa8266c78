//! From a command to bytes, and the simulated venue's side.

use std::hint::black_box;

use touchline::matching::{Capacity, Growth, MatchingCore, Message, OrderEntry, Report, SelfTrade};
use touchline::metrics::{Hop, LatencyTable, Stage, Stamps};
use touchline::types::{
    ClientOrderId, Command, InstrumentId, NewOrder, OrderKind, Price, Qty, SessionId, Side, TimeInForce,
};
use touchline::venue::binance::rest::RequestBuilder;
use touchline::venue::binance::sign::Signer;
use touchline::venue::binance::ws_api::ApiRequestBuilder;

use super::Case;
use super::frames::instrument;
use super::market::Draw;

const ORDERS: u64 = 16;
const NOW_MS: u64 = 1_784_102_400_123;

fn signer() -> Signer {
    Signer::hmac(&"a secret that is as long as the venue's own ones are: sixty-four".into()).expect("a key")
}

fn commands() -> Vec<Command> {
    let order = |i: u64| NewOrder {
        instrument: InstrumentId(0),
        client_id: ClientOrderId { session: SessionId(1_700_000_000_000), counter: 100 + i },
        side: if i.is_multiple_of(2) { Side::Bid } else { Side::Ask },
        price: Price::from_ticks(6_125_000 + i as i64),
        qty: Qty::from_lots(1000 + i as i64),
        kind: OrderKind::PostOnly,
    };
    (0..ORDERS).map(|i| Command::Place(order(i))).collect()
}

/// From an order to the signed body of its request.
pub fn rest_request() -> Case {
    let (instrument, signer, commands) = (instrument(), signer(), commands());
    let mut builder = RequestBuilder::new(5000);
    let mut want = 0;
    for command in &commands {
        let request = builder.command(command, &instrument, NOW_MS, &signer);
        let (payload, signature) = request.payload.split_once("&signature=").expect("it is signed");
        assert!(signer.verify(payload.as_bytes(), signature), "the signature is not of the payload");
        want += request.payload.len() as u64;
    }
    Case::new("rest_request", ORDERS as usize, want, move || {
        let mut sum = 0;
        for command in &commands {
            sum += builder.command(black_box(command), &instrument, NOW_MS, &signer).payload.len() as u64;
        }
        sum
    })
}

/// From an order to the text of its frame, signed because an HMAC key cannot log on.
pub fn ws_api_request() -> Case {
    let (instrument, signer, commands) = (instrument(), signer(), commands());
    let mut builder = ApiRequestBuilder::new(5000);
    // The frames are numbered, and all numbers counted are as long as these.
    for _ in 0..1_000 {
        builder.logon("key", NOW_MS, &signer);
    }
    let mut want = 0;
    for command in &commands {
        let text = builder.command(command, &instrument, NOW_MS, Some(("key", &signer)));
        let value: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
        let params = value["params"].as_object().expect("it has parameters");
        let sorted: Vec<String> = params
            .iter()
            .filter(|(name, _)| *name != "signature")
            .map(|(name, value)| match value {
                serde_json::Value::String(text) => format!("{name}={text}"),
                other => format!("{name}={other}"),
            })
            .collect();
        let signature = params["signature"].as_str().expect("it is signed");
        assert!(signer.verify(sorted.join("&").as_bytes(), signature), "the signature is not of the parameters");
        want += text.len() as u64;
    }
    Case::new("ws_api_request", ORDERS as usize, want, move || {
        let mut sum = 0;
        for command in &commands {
            sum += builder.command(black_box(command), &instrument, NOW_MS, Some(("key", &signer))).len() as u64;
        }
        sum
    })
}

/// From the stamps of a message to its hops, as the control tile does it for the histograms.
pub fn hops() -> Case {
    const MESSAGES: u64 = 64;
    let messages: Vec<Stamps> = (0..MESSAGES)
        .map(|i| {
            let mut stamps = Stamps::begin(1_000_000 + i);
            let stages = [Stage::Decoded, Stage::Booked, Stage::Featured, Stage::Quoted, Stage::Checked, Stage::Queued];
            for (at, stage) in stages.into_iter().chain([Stage::Ready, Stage::Written]).enumerate() {
                stamps.set(stage, 1_000_000 + i + 100 * (at as u64 + 1));
            }
            stamps
        })
        .collect();
    // Eight hops, the way up to `Ready`, and the whole.
    Case::new("stamps_to_hops", MESSAGES as usize, MESSAGES * (800 + 700 + 800), move || {
        let ns = |from: u64, to: u64| to - from;
        messages.iter().flat_map(|stamps| black_box(stamps).hops(ns)).map(|(_, ns)| ns).sum()
    })
}

pub fn histogram() -> Case {
    const SAMPLES: u64 = 256;
    let table = LatencyTable::default();
    let record = |table: &LatencyTable| {
        let mut sum = 0;
        for i in 0..SAMPLES {
            let ns = 1_000 + i * i;
            table.record(black_box(Hop::TickToOrder), ns);
            sum += ns;
        }
        sum
    };
    let want = record(&table);
    assert_eq!(table.summary(Hop::TickToOrder).count, SAMPLES, "a sample was lost");
    Case::new("histogram_record", SAMPLES as usize, want, move || record(&table))
}

/// Adds, cancels of live orders and aggressive orders around a mid that walks, and how many reports they give.
fn workload() -> (Vec<Message>, Vec<Message>) {
    let mut draw = Draw(42);
    let mut messages = Vec::new();
    let mut mid = 100_000_i64;
    for number in 0..3_000_u64 {
        let id = (number + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let act = if number < 1_000 { 0 } else { draw.below(100) };
        if draw.below(20) == 0 {
            mid += draw.below(3) as i64 - 1;
        }
        let side = if draw.below(2) == 0 { Side::Bid } else { Side::Ask };
        messages.push(if (55..90).contains(&act) {
            // One that is gone already is refused, which is work as well.
            Message::Cancel { id: (draw.below(number) + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93) }
        } else {
            let away = if act < 55 { 1 + draw.below(50) as i64 } else { -3 };
            Message::New(OrderEntry {
                id,
                owner: 0,
                side,
                price: Price::from_ticks(mid - side.sign() * away),
                qty: Qty::from_lots(1 + draw.below(100) as i64),
                kind: OrderKind::Limit(TimeInForce::Gtc),
                stp: SelfTrade::None,
            })
        });
    }
    let measured = messages.split_off(1_000);
    (messages, measured)
}

pub fn matching() -> Case {
    let (fill, messages) = workload();
    let ready = move |fill: &[Message]| {
        let mut core = MatchingCore::new(Capacity { orders: 8_192, levels: 1_024, growth: Growth::Refuse });
        let mut reports = Vec::with_capacity(1024);
        fill.iter().for_each(|message| core.submit(message, &mut reports));
        core
    };
    let submit = |core: &mut MatchingCore, reports: &mut Vec<Report>, messages: &[Message]| {
        let mut sum = 0_u64;
        for message in messages {
            reports.clear();
            core.submit(black_box(message), reports);
            for report in reports.iter() {
                sum = sum.wrapping_mul(31).wrapping_add(match *report {
                    Report::Accepted { .. } => 1,
                    Report::Trade { qty, price, .. } => (qty.lots() ^ price.ticks()) as u64,
                    Report::Cancelled { .. } => 3,
                    Report::Modified { .. } => 4,
                    Report::Rejected { .. } => 5,
                });
            }
        }
        sum
    };
    let mut reports = Vec::with_capacity(1024);
    let want = submit(&mut ready(&fill), &mut reports, &messages);
    // As with the book: each call changes the core that it is given.
    let mut stock: Vec<MatchingCore> = (0..3).map(|_| ready(&fill)).collect();
    Case::new("matching_message", messages.len(), want, move || {
        let mut core = stock.pop().unwrap_or_else(|| ready(&fill));
        submit(&mut core, &mut reports, &messages)
    })
    .once()
}
