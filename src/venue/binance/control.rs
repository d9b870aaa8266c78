//! Control messages of the market streams: the text that asks for streams, and what the venue answers.
//!
//! Cold: once for each connection. Source: Binance Spot "WebSocket Streams", live subscribing; USD-M's are the same.

use serde_json::Value;

/// Streams that one connection may carry.
pub const STREAMS_A_CONNECTION: usize = 1024;

/// The name of a symbol's stream: `btcusdt@depth@100ms`.
pub fn stream_name(symbol: &str, stream: &str) -> String {
    format!("{}@{stream}", symbol.to_lowercase())
}

/// The text of the control message `id` that asks for these streams.
pub fn subscribe(id: u64, names: &[String]) -> String {
    serde_json::json!({ "method": "SUBSCRIBE", "params": names, "id": id }).to_string()
}

/// What the venue says to a control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Accepted,
    /// It was not.
    Refused {
        /// Binance's code.
        code: i64,
        /// Its reason.
        text: String,
    },
}

/// Reads a text frame as the answer to the control message `id`; `None` for anything else. A message that the venue could
/// not read is refused without its id.
pub fn answer(frame: &str, id: u64) -> Option<Answer> {
    let Ok(Value::Object(fields)) = serde_json::from_str(frame) else { return None };
    let asked = fields.get("id")?;
    if asked.as_u64() == Some(id) && fields.get("result").is_some_and(Value::is_null) {
        return Some(Answer::Accepted);
    }
    // Spot has the error in an object of its own, USD-M has it beside the id.
    let error = fields.get("error").and_then(Value::as_object).unwrap_or(&fields);
    let code = error.get("code")?.as_i64()?;
    let text = error.get("msg").and_then(Value::as_str).unwrap_or_default().to_owned();
    (asked.is_null() || asked.as_u64() == Some(id)).then_some(Answer::Refused { code, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_asks_for_all_streams() {
        let names = ["depth@100ms", "trade"].map(|stream| stream_name("BTCUSDT", stream));
        assert_eq!(
            subscribe(7, &names),
            r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@trade"],"id":7}"#
        );
    }

    #[test]
    fn an_answer_is_told_from_everything_else() {
        let refused = |text: &str| Some(Answer::Refused { code: 2, text: text.to_owned() });
        for (frame, expected) in [
            (r#"{"result":null,"id":7}"#, Some(Answer::Accepted)),
            (r#"{"id":7,"result":null}"#, Some(Answer::Accepted)),
            (r#"{"error":{"code":2,"msg":"unknown stream"},"id":7}"#, refused("unknown stream")),
            (r#"{"code":2,"msg":"unknown stream","id":7}"#, refused("unknown stream")),
            (r#"{"error":{"code":2,"msg":"Invalid JSON"},"id":null}"#, refused("Invalid JSON")),
            (r#"{"result":null,"id":8}"#, None),
            (r#"{"error":{"code":2,"msg":"unknown stream"},"id":8}"#, None),
            (r#"{"result":["btcusdt@trade"],"id":7}"#, None),
            (r#"{"stream":"btcusdt@trade","data":{"e":"trade","id":7,"result":null}}"#, None),
            (r#"{"e":"serverShutdown","E":1}"#, None),
            ("[7]", None),
            ("", None),
        ] {
            assert_eq!(answer(frame, 7), expected, "{frame}");
        }
    }
}
