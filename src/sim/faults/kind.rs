//! The kinds of faults by name.

use super::plan::Cut;

/// What a fault happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// A message of a public stream.
    Market,
    /// The sockets of public streams.
    MarketSocket,
    /// A message of the user-data stream.
    User,
    /// The sockets of user data.
    UserSocket,
    /// A request about an order, and its answer.
    Answer,
}

macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $domain:ident;)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum FaultKind {
            $($(#[$doc])* $kind,)*
        }

        impl FaultKind {
            /// All kinds.
            pub const ALL: &[FaultKind] = &[$(FaultKind::$kind,)*];

            /// Its name on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(FaultKind::$kind => $name,)* }
            }

            /// What it happens to.
            pub const fn domain(self) -> Domain {
                match self { $(FaultKind::$kind => Domain::$domain,)* }
            }
        }
    };
}

fault_kinds! {
    /// A depth diff is never told.
    Gap = "gap", Market;
    /// A message of a public stream is told twice.
    DoubleMarket = "double-market", Market;
    /// A message of a public stream breaks off in its middle.
    Malformed = "malformed", Market;
    /// A message of a public stream is larger than any legal one.
    Oversized = "oversized", Market;
    /// A message of a public stream comes late; later ones overtake it.
    DelayMarket = "delay-market", Market;
    /// The sockets of public streams end as a peer's do that closes.
    Disconnect = "disconnect", MarketSocket;
    /// The sockets of public streams are reset.
    Reset = "reset", MarketSocket;
    /// The sockets of public streams stay open and say nothing any more.
    HalfOpen = "half-open", MarketSocket;
    /// The venue says that it shuts down, and a while later closes the sockets of public streams.
    Shutdown = "shutdown", MarketSocket;
    /// The sockets of public streams are closed without a warning, as Binance's are after 24 hours.
    DayCut = "day-cut", MarketSocket;
    /// Pongs on the sockets of public streams are not heard, and so these are closed.
    MissedPong = "missed-pong", MarketSocket;
    /// A user-data message comes late; later ones overtake it.
    DelayEvent = "delay-event", User;
    /// A user-data message never comes.
    LostEvent = "lost-event", User;
    /// A user-data message comes twice.
    DoubleEvent = "double-event", User;
    /// The sockets of user data end as a peer's do that closes.
    UserDisconnect = "user-disconnect", UserSocket;
    /// The sockets of user data are reset.
    UserReset = "user-reset", UserSocket;
    /// The answer comes late; the request is carried out at once.
    DelayAnswer = "delay-answer", Answer;
    /// The request is carried out and the connection ends without an answer.
    LostAnswer = "lost-answer", Answer;
    /// The connection ends before the request is carried out.
    LostRequest = "lost-request", Answer;
    /// The request is carried out twice, as after a proxy's repeat; the second answer is the one that comes.
    DoubleAnswer = "double-answer", Answer;
    /// -1007: the outcome is unknown; a share of the requests is carried out.
    Timeout = "timeout", Answer;
    /// 500 with -1000: the outcome is unknown too; a share of the requests is carried out.
    ServerError = "server-error", Answer;
    /// 429 with a time to wait; nothing is carried out.
    RateLimit = "rate-limit", Answer;
}

impl FaultKind {
    /// The kind of that name.
    pub fn parse(name: &str) -> Option<FaultKind> {
        FaultKind::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether it lasts: it then has a span of time.
    pub const fn lasts(self) -> bool {
        matches!(
            self,
            FaultKind::DelayMarket
                | FaultKind::DelayEvent
                | FaultKind::DelayAnswer
                | FaultKind::RateLimit
                | FaultKind::Shutdown
                | FaultKind::MissedPong
        )
    }

    /// Whether the request may or may not be carried out: it then has a share.
    pub const fn has_share(self) -> bool {
        matches!(self, FaultKind::Timeout | FaultKind::ServerError)
    }

    /// Whether it may strike in the middle of a message: it then has a number of bytes within which it does.
    pub const fn has_bytes(self) -> bool {
        matches!(self, FaultKind::Disconnect | FaultKind::Reset | FaultKind::HalfOpen)
    }

    /// Whether only sockets can show it. Of a connection that is replaced before it ends nothing is lost, and virtual
    /// time has no two connections that overlap.
    pub const fn is_of_the_wire_alone(self) -> bool {
        matches!(self, FaultKind::Shutdown)
    }

    /// How it ends sockets, if it does.
    pub const fn cut(self) -> Option<Cut> {
        match self {
            FaultKind::Disconnect | FaultKind::UserDisconnect => Some(Cut::Close),
            FaultKind::Reset | FaultKind::UserReset => Some(Cut::Reset),
            FaultKind::HalfOpen => Some(Cut::HalfOpen),
            FaultKind::Shutdown => Some(Cut::Shutdown),
            FaultKind::DayCut => Some(Cut::DayOver),
            FaultKind::MissedPong => Some(Cut::PongsLost),
            _ => None,
        }
    }
}
