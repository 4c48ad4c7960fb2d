//! The entropy-coded bits of a scan, and the Huffman codes in them.

/// Codes of up to this many bits are looked up.
const LOOKED_UP: u32 = 10;
const LONGEST: u32 = 16;
/// Enough for a code and the value that follows it.
const NEEDED: u32 = 32;

/// A table of codes, of up to 16 bits, for bytes.
#[derive(Debug, Clone)]
pub(super) struct Codes {
    /// By the next bits: length, 0 where the code is longer, and symbol.
    short: Vec<(u8, u8)>,
    /// For each length, one past its last code, aligned to 16 bits; and what to add to a code of
    /// that length for its place in `symbols`.
    ends: [(u32, i32); LONGEST as usize + 1],
    symbols: Vec<u8>,
}

impl Codes {
    /// From the counts of codes of 1 to 16 bits; `None` where they are more than there can be.
    pub(super) fn new(counts: &[u8; LONGEST as usize], symbols: &[u8]) -> Option<Self> {
        let mut codes = Self {
            short: vec![(0, 0); 1 << LOOKED_UP],
            ends: [(0, 0); LONGEST as usize + 1],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, count) in (1..).zip(counts) {
            codes.ends[length as usize].1 = place as i32 - code as i32;
            for _ in 0..*count {
                let symbol = *symbols.get(place)?;
                if length <= LOOKED_UP {
                    let unused = LOOKED_UP - length;
                    let entries = codes.short.get_mut((code << unused) as usize..)?;
                    entries.get_mut(..1 << unused)?.fill((length as u8, symbol));
                }
                code += 1;
                place += 1;
            }
            if code > 1 << length {
                return None;
            }
            codes.ends[length as usize].0 = code << (LONGEST - length);
            code <<= 1;
        }
        Some(codes)
    }
}

/// Reads bits, the first of a byte being its highest, up to the next marker.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    place: usize,
    /// The next `count` bits, in the highest places.
    buffer: u64,
    count: u32,
    /// Zeros put behind the last bit before a marker.
    padding: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            place: 0,
            buffer: 0,
            count: 0,
            padding: 0,
        }
    }

    /// Whether more was read than there was.
    pub(super) fn is_overread(&self) -> bool {
        self.padding > self.count
    }

    /// Goes past the restart marker that must come next.
    pub(super) fn restart(&mut self) -> Option<()> {
        let [0xff, 0xd0..=0xd7] = *self.bytes.get(self.place..)?.first_chunk()? else {
            return None;
        };
        *self = Self {
            bytes: self.bytes,
            place: self.place + 2,
            ..Self::new(&[])
        };
        Some(())
    }

    #[inline(always)]
    pub(super) fn symbol(&mut self, codes: &Codes) -> Option<u8> {
        if self.count < NEEDED {
            self.refill();
        }
        let (length, symbol) = codes.short[(self.buffer >> (64 - LOOKED_UP)) as usize];
        if length > 0 {
            self.skip(u32::from(length));
            return Some(symbol);
        }
        self.long_symbol(codes)
    }

    #[cold]
    fn long_symbol(&mut self, codes: &Codes) -> Option<u8> {
        let next = (self.buffer >> (64 - LONGEST)) as u32;
        let length =
            (LOOKED_UP + 1..=LONGEST).find(|length| next < codes.ends[*length as usize].0)?;
        let place = (next >> (LONGEST - length)) as i32 + codes.ends[length as usize].1;
        self.skip(length);
        codes.symbols.get(usize::try_from(place).ok()?).copied()
    }

    /// The value of `size` bits, at most 15, after a symbol: a leading 0 means a negative one.
    #[inline(always)]
    pub(super) fn value(&mut self, size: u32) -> i32 {
        if size == 0 {
            return 0;
        }
        let bits = (self.buffer >> (64 - size)) as i32;
        self.skip(size);
        let half = 1 << (size - 1);
        if bits < half {
            bits - 2 * half + 1
        } else {
            bits
        }
    }

    #[inline(always)]
    fn skip(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count = self.count.wrapping_sub(bits);
    }

    /// To at least 56 bits.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some(chunk) = self.bytes.get(self.place..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_be_bytes(*chunk);
            // A byte of `word` is 0xff where one of its complement is 0.
            let complement = !word;
            let found =
                complement.wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080;
            if found == 0 {
                self.buffer |= word >> self.count;
                let bytes = (63 - self.count) / 8;
                self.place += bytes as usize;
                self.count += 8 * bytes;
                return;
            }
        }
        self.refill_bytewise();
    }

    #[inline(never)]
    fn refill_bytewise(&mut self) {
        while self.count <= 56 {
            let byte = match self.bytes.get(self.place..).unwrap_or_default() {
                [0xff, 0, ..] => {
                    self.place += 2;
                    0xff
                }
                [0xff, ..] | [] => {
                    self.padding += 8;
                    0
                }
                [byte, ..] => {
                    self.place += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }
}
