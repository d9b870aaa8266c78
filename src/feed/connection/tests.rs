use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;

use tungstenite::Message;

use crate::feed::local_tls::LocalTls;

fn connection(port: u16) -> Connection {
    let tls = crate::feed::client_config(None).unwrap();
    let url = format!("ws://127.0.0.1:{port}/ws");
    Connection::new(&url, tls, Clock::new(), Duration::from_secs(60), 1).unwrap()
}

fn until<T>(connection: &mut Connection, mut wanted: impl FnMut(&Connection, Event) -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let event = connection.poll();
        if let Some(found) = wanted(connection, event) {
            return found;
        }
        assert!(Instant::now() < deadline, "nothing came of {connection:?}");
        connection.park(Duration::from_millis(5));
    }
}

fn text_of(connection: &Connection, event: Event) -> Option<String> {
    if let Event::Text { text, .. } = event { Some(connection.text(&text).to_owned()) } else { None }
}

#[test]
fn text_arrives_pings_are_answered_and_a_cut_comes_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        for round in 0..2 {
            let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
            socket.send(Message::Ping(b"20s".to_vec().into())).unwrap();
            socket.send(Message::text(format!("frame {round}"))).unwrap();
            loop {
                if let Message::Pong(payload) = socket.read().unwrap() {
                    assert_eq!(&payload[..], b"20s");
                    break;
                }
            }
            // Dropped without a close frame: the client must notice by the end of the stream.
        }
    });
    let mut client = connection(port);
    for round in 0..2 {
        until(&mut client, |_, event| matches!(event, Event::Opened).then_some(()));
        let (text, stamp) = until(&mut client, |client, event| match event {
            Event::Text { text, read_tsc } => Some((client.text(&text).to_owned(), read_tsc)),
            _ => None,
        });
        assert_eq!(text, format!("frame {round}"));
        assert!(stamp > 0);
        until(&mut client, |_, event| matches!(event, Event::Lost(_)).then_some(()));
    }
    server.join().unwrap();
}

/// Says texts of those sizes, hears one, says that it did, and returns how long that was.
fn talk_of_sizes(mut socket: WebSocket<impl Read + Write>, sizes: &[usize]) -> usize {
    for size in sizes {
        socket.write(Message::text("y".repeat(*size))).unwrap();
    }
    socket.flush().unwrap();
    let heard = socket.read().unwrap();
    socket.send(Message::text("heard")).unwrap();
    heard.len()
}

#[test]
fn frames_of_any_size_come_whole_and_in_order_and_what_the_socket_does_not_take_goes_out_later() {
    // Shorter than a read of the library, longer than its buffer, longer than ours, and many in one piece.
    let sizes: Vec<usize> = [1, 5_000, 70_000, 1_000_000].into_iter().chain(std::iter::repeat_n(20, 500)).collect();
    let sent = "x".repeat(12 << 20);
    let length = sent.len();
    for over_tls in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (local, told) = (LocalTls::new(), sizes.clone());
        let tls = crate::feed::client_config(Some(local.ca_file())).unwrap();
        let server = std::thread::spawn(move || {
            let socket = listener.accept().unwrap().0;
            if over_tls {
                talk_of_sizes(tungstenite::accept(local.accept(socket)).unwrap(), &told)
            } else {
                talk_of_sizes(tungstenite::accept(socket).unwrap(), &told)
            }
        });
        let url = format!("{}://127.0.0.1:{port}/ws", if over_tls { "wss" } else { "ws" });
        let mut client = Connection::new(&url, tls, Clock::new(), Duration::from_secs(60), 1).unwrap();
        until(&mut client, |_, event| matches!(event, Event::Opened).then_some(()));
        for size in &sizes {
            assert_eq!(until(&mut client, text_of).len(), *size);
        }
        client.send(&sent).unwrap();
        let answer = until(&mut client, text_of);
        assert_eq!((answer.as_str(), server.join().unwrap()), ("heard", length));
    }
}

/// Pings and reads nothing until it is told to; returns the lengths of so many texts, and how many pongs came with them.
fn late_reader(mut socket: WebSocket<impl Read + Write>, texts: usize, go: &std::sync::mpsc::Receiver<()>) -> Heard {
    for round in 0..20_u8 {
        socket.send(Message::Ping(vec![round; 100].into())).unwrap();
    }
    go.recv().unwrap();
    let mut heard = (Vec::new(), 0);
    while heard.0.len() < texts {
        match socket.read().unwrap() {
            Message::Text(text) => heard.0.push(text.len()),
            Message::Pong(_) => heard.1 += 1,
            other => panic!("{other:?}"),
        }
    }
    heard
}

type Heard = (Vec<usize>, usize);

#[test]
fn what_is_said_to_a_socket_that_is_full_arrives_whole_and_in_order_with_the_librarys_pongs_between() {
    // Together more than any socket buffers; the short ones are said while a long one is half sent.
    let lengths: Vec<usize> = (0..8).flat_map(|round| [(3 << 20) + round, round]).collect();
    for over_tls in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (local, count) = (LocalTls::new(), lengths.len());
        let tls = crate::feed::client_config(Some(local.ca_file())).unwrap();
        let (go, told) = std::sync::mpsc::channel();
        let server = std::thread::spawn(move || {
            let socket = listener.accept().unwrap().0;
            if over_tls {
                late_reader(tungstenite::accept(local.accept(socket)).unwrap(), count, &told)
            } else {
                late_reader(tungstenite::accept(socket).unwrap(), count, &told)
            }
        });
        let url = format!("{}://127.0.0.1:{port}/ws", if over_tls { "wss" } else { "ws" });
        let mut client = Connection::new(&url, tls, Clock::new(), Duration::from_secs(60), 1).unwrap();
        until(&mut client, |_, event| matches!(event, Event::Opened).then_some(()));
        for length in &lengths {
            client.send(&"x".repeat(*length)).unwrap();
            // Pings are heard, and pongs said, in the middle of it.
            (0..3).for_each(|_| assert!(!matches!(client.poll(), Event::Lost(_))));
        }
        go.send(()).unwrap();
        // The server goes when it has heard all, or panics.
        until(&mut client, |_, event| (server.is_finished() || matches!(event, Event::Lost(_))).then_some(()));
        let (heard, pongs) = server.join().unwrap();
        assert_eq!(heard, lengths);
        assert!(pongs > 0);
    }
}

#[test]
fn what_came_in_one_piece_is_told_without_an_idle_poll_between() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        // A message in two frames, a whole one, a ping, one in three frames with a ping between, a whole one.
        let all = b"\x01\x01a\x80\x01b\x81\x01c\x89\x00\x01\x01d\x00\x01e\x89\x00\x80\x01f\x81\x01g";
        socket.get_mut().write_all(all).unwrap();
        socket
    });
    let mut client = connection(port);
    let mut told = vec![until(&mut client, text_of)];
    while told.len() < 4 {
        let event = client.poll();
        assert!(!matches!(event, Event::Idle | Event::Lost(_)), "{event:?} behind {told:?}");
        told.extend(text_of(&client, event));
    }
    assert_eq!(told, ["ab", "c", "def", "g"]);
    drop(server.join().unwrap());
}

#[test]
fn a_quiet_peer_that_answers_pings_is_kept_and_a_dead_one_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        // Reading answers pings. After five of them it stays open and does nothing any more.
        let mut pings = 0;
        while pings < 5 {
            pings += u32::from(matches!(socket.read().unwrap(), Message::Ping(_)));
        }
        (socket, Instant::now())
    });
    let tls = crate::feed::client_config(None).unwrap();
    let silence = Duration::from_millis(150);
    let mut client = Connection::new(&format!("ws://127.0.0.1:{port}/"), tls, Clock::new(), silence, 1).unwrap();
    let loss = until(&mut client, |_, event| match event {
        Event::Lost(loss) => Some(loss),
        _ => None,
    });
    assert_eq!(loss, Loss::Silent);
    let (_, died_at) = server.join().unwrap();
    assert!(died_at.elapsed() < Duration::from_secs(2), "long after it died");
}

#[test]
fn a_refused_port_is_tried_again_and_again() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut client = connection(port);
    for _ in 0..3 {
        let loss = until(&mut client, |_, event| match event {
            Event::Lost(loss) => Some(loss),
            _ => None,
        });
        assert!(matches!(loss, Loss::Socket(_)), "{loss:?}");
    }
}

#[test]
fn a_server_that_speaks_no_websocket_is_a_failed_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 1024]);
        let _ = socket.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    });
    let mut client = connection(port);
    let loss = until(&mut client, |_, event| match event {
        Event::Lost(loss) => Some(loss),
        _ => None,
    });
    assert!(matches!(loss, Loss::Handshake(_)), "{loss:?}");
    server.join().unwrap();
}

#[test]
fn streams_are_asked_for_at_once_and_what_comes_before_the_answer_is_told_after_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        let asked = socket.read().unwrap();
        assert_eq!(asked.to_text().unwrap(), r#"{"method":"SUBSCRIBE","params":["a@trade","b@trade"],"id":1}"#);
        for text in ["early", r#"{"result":null,"id":1}"#, "late"] {
            socket.send(Message::text(text)).unwrap();
        }
        socket
    });
    let mut client = connection(port).with_streams(&["a@trade".to_owned(), "b@trade".to_owned()]);
    let mut told = Vec::new();
    until(&mut client, |client, event| {
        match event {
            Event::Opened => told.push("opened".to_owned()),
            Event::Text { text, .. } => told.push(client.text(&text).to_owned()),
            Event::Lost(loss) => panic!("{loss}"),
            _ => {}
        }
        (told.len() == 3).then_some(())
    });
    assert_eq!(told, ["opened", "early", "late"]);
    drop(server.join().unwrap());
}

#[test]
fn refused_streams_are_a_loss_with_the_reason_and_are_asked_for_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        for answer in [r#"{"error":{"code":2,"msg":"unknown stream"},"id":1}"#, r#"{"result":null,"id":1}"#] {
            let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
            socket.read().unwrap();
            socket.send(Message::text(answer)).unwrap();
            let _ = socket.read();
        }
    });
    let mut client = connection(port).with_streams(&["x@trade".to_owned()]);
    let loss = until(&mut client, |_, event| match event {
        Event::Opened => panic!("it was refused"),
        Event::Lost(loss) => Some(loss),
        _ => None,
    });
    assert_eq!(loss, Loss::Refused { code: 2, text: "unknown stream".to_owned() });
    until(&mut client, |_, event| matches!(event, Event::Opened).then_some(()));
    drop(client);
    server.join().unwrap();
}

#[test]
fn the_sixth_message_to_the_streams_waits_for_its_second() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        socket.read().unwrap();
        let began = Instant::now();
        socket.send(Message::text(r#"{"result":null,"id":1}"#)).unwrap();
        (0..6).map(|_| (socket.read().unwrap().to_text().unwrap().to_owned(), began.elapsed())).collect::<Vec<_>>()
    });
    let mut client = connection(port).with_streams(&["x@trade".to_owned()]);
    until(&mut client, |_, event| matches!(event, Event::Opened).then_some(()));
    for number in 0..6 {
        client.send(&number.to_string()).unwrap();
    }
    until(&mut client, |_, _| server.is_finished().then_some(()));
    let heard = server.join().unwrap();
    let texts: Vec<&str> = heard.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4", "5"]);
    assert!(heard[4].1 >= Duration::from_secs(1), "the subscription was the first of five: {heard:?}");
}
