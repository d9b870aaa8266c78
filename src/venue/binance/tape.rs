//! JSON text as simd-json's tape, and typed reads from it that name the field they fail on.
//!
//! [`Scratch`] holds everything that parsing needs, so that parsing allocates only until the largest text was seen.

use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape, fill_tape_padded};

use super::decode::DecodeError;

/// Deeper nesting than any message of the protocol has, unknown fields included.
const DEPTH_MAX: usize = 32;

/// The reused memory of a parser.
pub(super) struct Scratch {
    /// The text's copy, followed by padding; simd-json unescapes strings in it.
    text: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Scratch {
    /// Scratch for texts of `len` bytes without allocation, as far as that can be told beforehand.
    pub(super) fn with_capacity(len: usize) -> Scratch {
        Scratch {
            text: vec![0; len + INPUT_PADDING],
            buffers: Buffers::with_max_depth(len, DEPTH_MAX),
            // A message has a node for about every eight bytes: `["61250.10","0.48200"],` is three.
            tape: Tape(Vec::with_capacity(len / 4)),
        }
    }

    /// Parses `text` and hands its nodes to `read`.
    pub(super) fn parse<R>(
        &mut self,
        text: &[u8],
        read: impl FnOnce(Nodes<'_>) -> Result<R, DecodeError>,
    ) -> Result<R, DecodeError> {
        if self.text.len() < text.len() + INPUT_PADDING {
            self.text.resize(text.len() + INPUT_PADDING, 0);
        }
        self.text[..text.len()].copy_from_slice(text);
        // The tape borrows the text only during this call: it is taken, filled, read, emptied and put back.
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let result = match fill_tape_padded(&mut self.text, text.len(), &mut self.buffers, &mut tape) {
            Ok(()) => read(Nodes(&tape.0)),
            Err(_) => Err(DecodeError::Json),
        };
        self.tape = tape.reset();
        result
    }
}

/// The nodes of a parsed text: an array or object is followed by its contents.
#[derive(Clone, Copy)]
pub(super) struct Nodes<'a>(&'a [Node<'a>]);

impl<'a> Nodes<'a> {
    /// The node at that place.
    #[inline]
    fn node(self, at: usize) -> Option<Node<'a>> {
        self.0.get(at).copied()
    }

    /// The place after the value at `at`.
    #[inline]
    fn after(self, at: usize) -> usize {
        match self.0.get(at) {
            Some(Node::Object { count, .. } | Node::Array { count, .. }) => at + 1 + count,
            _ => at + 1,
        }
    }

    /// The object at `at`, with its keys indexed.
    pub(super) fn object(self, at: usize) -> Result<Fields<'a>, DecodeError> {
        let Some(Node::Object { len, .. }) = self.node(at) else { return Err(DecodeError::Shape) };
        let mut fields = Fields { nodes: self, at, len, letters: [0; 64], doubled: 0 };
        let mut next = at + 1;
        for _ in 0..len {
            if let Some(Node::String(key)) = self.node(next)
                && let &[letter] = key.as_bytes()
                && letter.is_ascii_alphabetic()
            {
                let slot = usize::from(letter & 63);
                if fields.letters[slot] != 0 {
                    fields.doubled |= 1 << slot;
                }
                fields.letters[slot] = next as u32 + 1;
            }
            next = self.after(next + 1);
        }
        Ok(fields)
    }
}

/// The fields of an object. Those named by one letter, as all of the streams' are, are found by index.
pub(super) struct Fields<'a> {
    nodes: Nodes<'a>,
    at: usize,
    len: usize,
    /// Where the value of a one-letter key is; zero when there is none. The low six bits tell all letters apart.
    letters: [u32; 64],
    /// Letters that stand twice.
    doubled: u64,
}

impl<'a> Fields<'a> {
    /// Where the value of `field` is, if the object has it.
    #[inline]
    pub(super) fn find(&self, field: &'static str) -> Result<Option<usize>, DecodeError> {
        if let &[letter] = field.as_bytes() {
            let slot = usize::from(letter & 63);
            if self.doubled >> slot & 1 == 1 {
                return Err(DecodeError::Duplicate { field });
            }
            let at = self.letters[slot] as usize;
            return Ok((at != 0).then_some(at));
        }
        self.find_long(field)
    }

    fn find_long(&self, field: &'static str) -> Result<Option<usize>, DecodeError> {
        let mut found = None;
        let mut next = self.at + 1;
        for _ in 0..self.len {
            if matches!(self.nodes.node(next), Some(Node::String(key)) if key == field) {
                if found.is_some() {
                    return Err(DecodeError::Duplicate { field });
                }
                found = Some(next + 1);
            }
            next = self.nodes.after(next + 1);
        }
        Ok(found)
    }

    /// Where the value of `field` is.
    #[inline]
    fn need(&self, field: &'static str) -> Result<usize, DecodeError> {
        self.find(field)?.ok_or(DecodeError::Missing { field })
    }

    /// A field that is an object, if there is one.
    pub(super) fn object(&self, field: &'static str) -> Result<Option<Fields<'a>>, DecodeError> {
        match self.find(field)? {
            None => Ok(None),
            Some(at) => self.nodes.object(at).map(Some).map_err(|_| DecodeError::Type { field, expected: "an object" }),
        }
    }

    /// A field that is text.
    #[inline]
    pub(super) fn text(&self, field: &'static str) -> Result<&'a str, DecodeError> {
        match self.nodes.node(self.need(field)?) {
            Some(Node::String(text)) => Ok(text),
            _ => Err(DecodeError::Type { field, expected: "a string" }),
        }
    }

    /// A field that is a whole number of at least zero.
    #[inline]
    pub(super) fn unsigned(&self, field: &'static str) -> Result<u64, DecodeError> {
        match self.nodes.node(self.need(field)?) {
            Some(Node::Static(StaticNode::U64(value))) => Ok(value),
            Some(Node::Static(StaticNode::I64(value))) if value >= 0 => Ok(value as u64),
            _ => Err(DecodeError::Type { field, expected: "a whole number of at least zero" }),
        }
    }

    /// A field that is a whole number of at least zero, if there is one.
    #[inline]
    pub(super) fn unsigned_if_present(&self, field: &'static str) -> Result<Option<u64>, DecodeError> {
        if self.find(field)?.is_none() { Ok(None) } else { self.unsigned(field).map(Some) }
    }

    /// A field that is a whole number.
    pub(super) fn signed(&self, field: &'static str) -> Result<i64, DecodeError> {
        match self.nodes.node(self.need(field)?) {
            Some(Node::Static(StaticNode::I64(value))) => Ok(value),
            Some(Node::Static(StaticNode::U64(value))) if value <= i64::MAX as u64 => Ok(value as i64),
            _ => Err(DecodeError::Type { field, expected: "a whole number" }),
        }
    }

    /// A field that is true or false.
    pub(super) fn boolean(&self, field: &'static str) -> Result<bool, DecodeError> {
        match self.nodes.node(self.need(field)?) {
            Some(Node::Static(StaticNode::Bool(value))) => Ok(value),
            _ => Err(DecodeError::Type { field, expected: "true or false" }),
        }
    }

    /// Hands the texts of each `[price, quantity]` of a field to `take`.
    #[inline]
    pub(super) fn each_level(
        &self,
        field: &'static str,
        mut take: impl FnMut(&'a str, &'a str) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let at = self.need(field)?;
        let Some(Node::Array { len, .. }) = self.nodes.node(at) else {
            return Err(DecodeError::Type { field, expected: "an array of levels" });
        };
        let mut next = at + 1;
        for _ in 0..len {
            let Some(&[Node::Array { len: 2, count: 2 }, Node::String(price), Node::String(qty)]) =
                self.nodes.0.get(next..next + 3)
            else {
                return Err(DecodeError::Type { field, expected: "an array of [price, quantity] strings" });
            };
            take(price, qty)?;
            next += 3;
        }
        Ok(())
    }
}
