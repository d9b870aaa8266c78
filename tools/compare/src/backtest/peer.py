"""hftbacktest from PyPI on the tape: python peer.py TAPE. Prints one JSON object."""

import json
import sys
import time

import numpy as np
from hftbacktest import BUY, GTX, LIMIT, SELL, BacktestAsset, ROIVectorMarketDepthBacktest
from hftbacktest.order import CANCELED
from numba import njit

TICK, LOT, QTY = 0.1, 0.001, 0.01
INVALID_MIN, INVALID_MAX = -(2**63), 2**63 - 1


def backtest(data):
    asset = (
        BacktestAsset().data([data]).parallel_load(False).constant_order_latency(500_000, 500_000).linear_asset(1.0)
        .risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(0.0, 0.0)
        .tick_size(TICK).lot_size(LOT).roi_lb(400_000 * TICK).roi_ub(600_000 * TICK)
    )
    return ROIVectorMarketDepthBacktest([asset])


@njit
def play(hbt, every):
    number = 0
    while hbt.elapse(every) == 0:
        hbt.clear_inactive_orders(0)
        depth = hbt.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        if bid == INVALID_MIN or ask == INVALID_MAX:
            continue
        for side in (BUY, SELL):
            tick = bid - 1 if side == BUY else ask + 1
            stands = False
            orders = hbt.orders(0).values()
            while orders.has_next():
                order = orders.get()
                if order.side != side or order.req == CANCELED:
                    continue
                if order.price_tick == tick:
                    stands = True
                elif order.cancellable:
                    hbt.cancel(0, order.order_id, False)
            if stands:
                continue
            number += 1
            if side == BUY:
                hbt.submit_buy_order(0, number, tick * TICK, QTY, GTX, LIMIT, False)
            else:
                hbt.submit_sell_order(0, number, tick * TICK, QTY, GTX, LIMIT, False)
    return number


data = np.load(sys.argv[1])
# Compiled and warm before the time counts.
warm = backtest(data[:10_000])
play(warm, 100_000_000)
warm.close()
hbt = backtest(data)
start = time.process_time()
orders = play(hbt, 100_000_000)
seconds = time.process_time() - start
fills = int(hbt.state_values(0).num_trades)
hbt.close()
with open("/proc/self/status") as status:
    peak_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
print(json.dumps({
    "events": len(data), "seconds": seconds, "fills": fills, "orders": int(orders), "peak_rss_mib": peak_kib / 1024,
}))
