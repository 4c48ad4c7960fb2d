//! Dot products of a strip of rows with a panel of centroids, and the running arg-min over panels.
//!
//! One multiply-add per term and lane, in order of the columns, fused on every machine: AVX-512,
//! AVX2, NEON and the portable path give the same bits.

use pulp::{Arch, Simd, WithSimd};

/// Centroids per panel: one AVX-512 register, two of AVX2.
pub(crate) const PANEL: usize = 16;

/// Rows of a strip: a multiple of what any instruction set takes at a time.
pub(crate) const STRIP: usize = 12;

/// The lowest two scores seen per lane, and the panel of the lowest.
#[derive(Clone, Copy)]
pub(crate) struct Lanes {
    pub(crate) best: [f32; PANEL],
    pub(crate) second: [f32; PANEL],
    /// Exact up to 2²⁴ panels.
    pub(crate) panel: [f32; PANEL],
}

impl Lanes {
    pub(crate) const EMPTY: Self = Self {
        best: [f32::INFINITY; PANEL],
        second: [f32::INFINITY; PANEL],
        panel: [0.0; PANEL],
    };

    pub(crate) fn lowest(&self) -> f32 {
        let mut lowest = f32::INFINITY;
        for &score in &self.best {
            lowest = if score < lowest { score } else { lowest };
        }
        lowest
    }
}

/// Centroids in panels: column by column, `PANEL` centroids side by side, padded with zeros.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    pub(crate) values: &'a [f32],
    /// ‖c‖² by panel and lane; infinite where there is no centroid.
    pub(crate) squared_norms: &'a [f32],
    /// Number of the first panel within its run.
    pub(crate) first: usize,
}

/// Updates each row's lanes with the scores ‖c‖² − 2x·c of all centroids in the panels.
pub(crate) fn scan(
    arch: Arch,
    rows: &[f32],
    width: usize,
    panels: Panels<'_>,
    lanes: &mut [Lanes],
) {
    arch.dispatch(Scan {
        rows,
        width,
        panels,
        lanes,
    });
}

/// As [`scan`] for rows that lie anywhere, at most [`STRIP`] of them.
pub(crate) fn scan_strip(arch: Arch, rows: &[&[f32]], panels: Panels<'_>, lanes: &mut [Lanes]) {
    arch.dispatch(ScanStrip {
        rows,
        panels,
        lanes,
    });
}

/// Writes x·c for every row and centroid of one panel; `products` has one entry per row.
pub(crate) fn multiply(
    arch: Arch,
    rows: &[f32],
    width: usize,
    panel: &[f32],
    products: &mut [[f32; PANEL]],
) {
    arch.dispatch(Multiply {
        rows,
        width,
        panel,
        products,
    });
}

struct Scan<'a> {
    rows: &'a [f32],
    width: usize,
    panels: Panels<'a>,
    lanes: &'a mut [Lanes],
}

struct ScanStrip<'a> {
    rows: &'a [&'a [f32]],
    panels: Panels<'a>,
    lanes: &'a mut [Lanes],
}

struct Multiply<'a> {
    rows: &'a [f32],
    width: usize,
    panel: &'a [f32],
    products: &'a mut [[f32; PANEL]],
}

/// Rows per strip and registers per panel that fit the instruction set's registers.
macro_rules! by_register_width {
    ($simd:ident: $S:ident, $method:ident, $this:expr) => {
        match $S::F32_LANES {
            16 => $this.$method::<$S, 12, 1>($simd),
            8 => $this.$method::<$S, 6, 2>($simd),
            4 => $this.$method::<$S, 4, 4>($simd),
            2 => $this.$method::<$S, 1, 8>($simd),
            _ => $this.$method::<$S, 1, 16>($simd),
        }
    };
}

impl WithSimd for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        by_register_width!(simd: S, strips, self);
    }
}

impl WithSimd for ScanStrip<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        by_register_width!(simd: S, strips, self);
    }
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        by_register_width!(simd: S, strips, self);
    }
}

impl Scan<'_> {
    #[inline(always)]
    fn strips<S: Simd, const MR: usize, const NR: usize>(self, simd: S) {
        let Self {
            rows,
            width,
            panels,
            lanes,
        } = self;
        let full = lanes.len() / MR * MR;
        let (strips, rest) = lanes.split_at_mut(full);
        for (strip, values) in strips
            .chunks_exact_mut(MR)
            .zip(rows.chunks_exact(MR * width))
        {
            let rows = std::array::from_fn(|row| &values[row * width..][..width]);
            scan_rows::<S, MR, NR>(simd, rows, panels, strip);
        }
        for (row, values) in rest
            .chunks_exact_mut(1)
            .zip(rows[full * width..].chunks_exact(width))
        {
            scan_rows::<S, 1, NR>(simd, [values], panels, row);
        }
    }
}

impl ScanStrip<'_> {
    #[inline(always)]
    fn strips<S: Simd, const MR: usize, const NR: usize>(self, simd: S) {
        let full = self.rows.len() / MR * MR;
        let (strips, rest) = self.lanes.split_at_mut(full);
        let (rows, rest_rows) = self.rows.as_chunks::<MR>();
        for (rows, strip) in rows.iter().zip(strips.chunks_exact_mut(MR)) {
            scan_rows::<S, MR, NR>(simd, *rows, self.panels, strip);
        }
        for (row, lanes) in rest_rows.iter().zip(rest.chunks_exact_mut(1)) {
            scan_rows::<S, 1, NR>(simd, [row], self.panels, lanes);
        }
    }
}

impl Multiply<'_> {
    #[inline(always)]
    fn strips<S: Simd, const MR: usize, const NR: usize>(self, simd: S) {
        let Self {
            rows,
            width,
            panel,
            products,
        } = self;
        let panel = S::as_simd_f32s(panel).0;
        let full = products.len() / MR * MR;
        let (strips, rest) = products.split_at_mut(full);
        for (strip, values) in strips
            .chunks_exact_mut(MR)
            .zip(rows.chunks_exact(MR * width))
        {
            let rows = std::array::from_fn(|row| &values[row * width..][..width]);
            store::<S, MR, NR>(tile::<S, MR, NR>(simd, rows, panel), strip);
        }
        for (row, values) in rest
            .chunks_exact_mut(1)
            .zip(rows[full * width..].chunks_exact(width))
        {
            store::<S, 1, NR>(tile::<S, 1, NR>(simd, [values], panel), row);
        }
    }
}

#[inline(always)]
fn scan_rows<S: Simd, const MR: usize, const NR: usize>(
    simd: S,
    rows: [&[f32]; MR],
    panels: Panels<'_>,
    lanes: &mut [Lanes],
) {
    let values = S::as_simd_f32s(panels.values).0;
    let norms = S::as_simd_f32s(panels.squared_norms).0;
    let width = rows[0].len();
    let minus_two = simd.splat_f32s(-2.0);
    let panels_of = values.chunks_exact(NR * width).zip(norms.chunks_exact(NR));
    for (number, (panel, norms)) in panels_of.enumerate() {
        let products = tile::<S, MR, NR>(simd, rows, panel);
        let id = simd.splat_f32s((panels.first + number) as f32);
        for (lanes, products) in lanes.iter_mut().zip(products) {
            let best = S::as_mut_simd_f32s(&mut lanes.best).0;
            let second = S::as_mut_simd_f32s(&mut lanes.second).0;
            let winner = S::as_mut_simd_f32s(&mut lanes.panel).0;
            for n in 0..NR {
                let score = simd.mul_add_f32s(minus_two, products[n], norms[n]);
                let wins = simd.less_than_f32s(score, best[n]);
                second[n] = simd.min_f32s(second[n], simd.max_f32s(best[n], score));
                best[n] = simd.min_f32s(best[n], score);
                winner[n] = simd.select_f32s(wins, id, winner[n]);
            }
        }
    }
}

/// MR rows times NR registers of centroids, every product held in a register.
#[inline(always)]
fn tile<S: Simd, const MR: usize, const NR: usize>(
    simd: S,
    rows: [&[f32]; MR],
    panel: &[S::f32s],
) -> [[S::f32s; NR]; MR] {
    let width = rows[0].len();
    let rows = rows.map(|row| &row[..width]);
    let columns = &panel.as_chunks::<NR>().0[..width];
    let mut products = [[simd.splat_f32s(0.0); NR]; MR];
    for (column, centroids) in columns.iter().enumerate() {
        for row in 0..MR {
            let value = simd.splat_f32s(rows[row][column]);
            for n in 0..NR {
                products[row][n] = simd.mul_add_f32s(value, centroids[n], products[row][n]);
            }
        }
    }
    products
}

#[inline(always)]
fn store<S: Simd, const MR: usize, const NR: usize>(
    products: [[S::f32s; NR]; MR],
    rows: &mut [[f32; PANEL]],
) {
    for (row, products) in rows.iter_mut().zip(products) {
        for (slot, product) in S::as_mut_simd_f32s(row).0.iter_mut().zip(products) {
            *slot = product;
        }
    }
}
