//! The header of a JPEG, as far as a sequential one with a single scan needs it.

use super::bits::Codes;

#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    /// In the order of the scan.
    pub(super) components: Vec<Component>,
    /// Units between restarts; 0 for none.
    pub(super) restart_interval: usize,
    /// What follows the header.
    pub(super) scan: &'a [u8],
}

/// One channel, luminance first.
#[derive(Debug)]
pub(super) struct Component {
    /// Blocks of a unit, across and down: 1 or 2 each.
    pub(super) across: usize,
    pub(super) down: usize,
    /// By zigzag position.
    pub(super) quantization: [u16; 64],
    pub(super) first: Codes,
    pub(super) others: Codes,
}

#[derive(Debug, Default)]
struct Tables {
    quantization: [Option<[u16; 64]>; 4],
    first: [Option<Codes>; 4],
    others: [Option<Codes>; 4],
    restart_interval: usize,
    frame: Option<Frame>,
}

#[derive(Debug)]
struct Frame {
    width: usize,
    height: usize,
    /// Identifier, blocks across and down, quantization table.
    components: Vec<(u8, usize, usize, usize)>,
}

impl<'a> Header<'a> {
    /// `None` for any JPEG that is not of this kind.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut tables = Tables::default();
        let mut rest = bytes.get(2..)?;
        loop {
            let ([0xff, marker], after) = rest.split_first_chunk()? else {
                return None;
            };
            let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
            let segment = after.get(2..length)?;
            rest = &after[length..];
            match marker {
                0xc0 | 0xc1 => tables.frame = Some(Frame::read(segment)?),
                0xc4 => tables.read_codes(segment)?,
                0xda => return tables.finish(segment, rest),
                0xdb => tables.read_quantization(segment)?,
                0xdd => {
                    tables.restart_interval =
                        usize::from(u16::from_be_bytes(*segment.first_chunk()?))
                }
                0xee if !is_plain_adobe(segment) => return None,
                0xe0..=0xef | 0xfe => {}
                _ => return None,
            }
        }
    }
}

/// Whether Adobe's marker says YCbCr, or there is none in the segment.
fn is_plain_adobe(segment: &[u8]) -> bool {
    !segment.starts_with(b"Adobe") || segment.get(11) == Some(&1)
}

impl Frame {
    fn read(segment: &[u8]) -> Option<Self> {
        let ([8, height @ .., width_high, width_low, count], specified) =
            segment.split_first_chunk::<6>()?
        else {
            return None;
        };
        let read = |[id, factors, table]: &[u8; 3]| {
            (
                *id,
                usize::from(factors >> 4),
                usize::from(factors & 15),
                usize::from(*table),
            )
        };
        let components: Vec<_> = specified.as_chunks().0.iter().map(read).collect();
        let fits = |&(_, across, down, _): &_| (1..=2).contains(&across) && (1..=2).contains(&down);
        // Components of these names hold RGB.
        let is_rgb = components.iter().map(|(id, ..)| *id).eq(*b"RGB");
        let known = components.len() == usize::from(*count) && matches!(count, 1 | 3) && !is_rgb;
        (known && components.iter().all(fits)).then_some(Self {
            width: usize::from(u16::from_be_bytes([*width_high, *width_low])),
            height: usize::from(u16::from_be_bytes(*height.first_chunk()?)),
            components,
        })
    }
}

impl Tables {
    fn read_quantization(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((kind, after)) = segment.split_first() {
            let (values, after) = after.split_first_chunk::<64>()?;
            // Tables of 16 bits, in the upper half, are not for 8-bit samples.
            *self.quantization.get_mut(usize::from(*kind))? = Some(values.map(u16::from));
            segment = after;
        }
        Some(())
    }

    fn read_codes(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((kind, after)) = segment.split_first() {
            let (counts, after) = after.split_first_chunk::<16>()?;
            let total = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, after) = after.split_at_checked(total)?;
            let tables = match kind >> 4 {
                0 => &mut self.first,
                1 => &mut self.others,
                _ => return None,
            };
            *tables.get_mut(usize::from(kind & 15))? = Some(Codes::new(counts, symbols)?);
            segment = after;
        }
        Some(())
    }

    fn finish<'a>(self, scan_header: &[u8], scan: &'a [u8]) -> Option<Header<'a>> {
        let frame = self.frame?;
        let (count, specified) = scan_header.split_first()?;
        if usize::from(*count) != frame.components.len() || frame.width == 0 || frame.height == 0 {
            return None;
        }
        let mut components = Vec::new();
        for (&(id, across, down, quantization), [scanned, tables]) in
            frame.components.iter().zip(specified.as_chunks().0)
        {
            if id != *scanned {
                return None;
            }
            // One component alone is never interleaved, whatever its factors.
            let (across, down) = if *count == 1 { (1, 1) } else { (across, down) };
            components.push(Component {
                across,
                down,
                quantization: (*self.quantization.get(quantization)?)?,
                first: self.first.get(usize::from(tables >> 4))?.clone()?,
                others: self.others.get(usize::from(tables & 15))?.clone()?,
            });
        }
        (components.len() == usize::from(*count)).then_some(Header {
            width: frame.width,
            height: frame.height,
            components,
            restart_interval: self.restart_interval,
            scan,
        })
    }
}
