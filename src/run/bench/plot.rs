//! The percentile curves of a latency run, one line a maker, one chart a rate, in a page that needs nothing else.

use plotly::common::Mode;
use plotly::layout::{Axis, AxisType, GridPattern, Layout, LayoutGrid};
use plotly::{Plot, Scatter};

use super::figures::Table;

/// The page.
pub fn page(table: &Table) -> String {
    let mut plot = Plot::new();
    let rates = table.series.len();
    for (index, (rate, makers)) in table.series.iter().enumerate() {
        for (name, series) in makers {
            let merged = series.merged();
            // One point for each halving of what is slower: a straight line is a tail that falls by itself.
            let halvings = (0..).map(|step| f64::from(step) / 4.0).take_while(|step| step.exp2() < merged.len() as f64);
            let (slower, us): (Vec<f64>, Vec<f64>) = halvings
                .map(|step| (step.exp2(), merged.value_at_quantile(1.0 - step.exp2().recip()) as f64 / 1e3))
                .unzip();
            let mut line = Scatter::new(slower, us).mode(Mode::Lines).name(format!("{name}, {rate} ticks/s"));
            if index > 0 {
                line = line.x_axis(format!("x{}", index + 1)).y_axis(format!("y{}", index + 1));
            }
            plot.add_trace(line);
        }
    }
    let axis = |title: &str| Axis::new().title(title).type_(AxisType::Log);
    let layout = Layout::new()
        .title("Tick frame sent to first order read, microseconds; across: one in so many is slower")
        .grid(LayoutGrid::new().rows(1).columns(rates.max(1)).pattern(GridPattern::Independent))
        .x_axis(axis(""))
        .y_axis(axis(""))
        .x_axis2(axis(""))
        .y_axis2(axis(""))
        .x_axis3(axis(""))
        .y_axis3(axis(""));
    plot.set_layout(layout);
    plot.to_html()
}
