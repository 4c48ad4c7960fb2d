//! Which samples come first.

use clap::ValueEnum;
use curriculum::Order;
use curriculum_proto::v1;

/// The order of the samples.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct OrderArgs {
    /// Which samples are favoured.
    #[arg(long, value_enum, default_value_t = OrderArg::EasyFirst)]
    order: OrderArg,
    /// Seed of `--order shuffled`; equal seeds shuffle alike.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    order_seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OrderArg {
    /// Prototypes first, as in the paper.
    EasyFirst,
    /// Outliers first.
    HardFirst,
    /// Control: the weights of easy-first, the largest on the hardest sample.
    Reversed,
    /// Control: the weights of easy-first, dealt out at random.
    Shuffled,
}

impl OrderArgs {
    pub(crate) fn order(self) -> Order {
        match self.order {
            OrderArg::EasyFirst => Order::EasyFirst,
            OrderArg::HardFirst => Order::HardFirst,
            OrderArg::Reversed => Order::Reversed,
            OrderArg::Shuffled => Order::Shuffled {
                seed: self.order_seed,
            },
        }
    }

    /// The order on the wire, and its seed.
    pub(crate) fn to_proto(self) -> (v1::Order, u64) {
        let order = match self.order {
            OrderArg::EasyFirst => v1::Order::EasyFirst,
            OrderArg::HardFirst => v1::Order::HardFirst,
            OrderArg::Reversed => v1::Order::Reversed,
            OrderArg::Shuffled => v1::Order::Shuffled,
        };
        (order, self.order_seed)
    }
}
