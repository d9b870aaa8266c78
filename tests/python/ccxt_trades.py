"""Trades on a running embedded venue with ccxt as it comes from PyPI.

Reads the venue's announcement (one JSON line) from stdin, prints one line for each step, and exits with 0 when every
step did what ccxt's users expect. Every url is the venue's: nothing may leave this machine.
"""

import asyncio
import json
import sys

import ccxt
import ccxt.pro

SYMBOL = "BTC/USDT"
STEP_SECONDS = 30


def check(held, what):
    if not held:
        raise AssertionError(what)
    print("ok:", what, flush=True)


def exchange(venue, key="api_key", secret="api_secret"):
    rest = venue["rest"] + "/api/v3"
    client = ccxt.pro.binance({
        "apiKey": venue[key],
        "secret": venue[secret],
        "options": {
            "defaultType": "spot",
            "fetchMarkets": {"types": ["spot"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
        },
    })
    # Every other url would be the real exchange: a call that strays must fail here and not reach it.
    api = {name: venue["rest"] + "/not-served" for name, url in client.urls["api"].items() if isinstance(url, str)}
    api.update({
        "public": rest,
        "private": rest,
        "sapi": venue["rest"] + "/sapi/v1",
        "ws": {"spot": venue["ws"] + "/stream/ws", "ws-api": {"spot": venue["ws_api"]}},
    })
    client.urls["api"] = api
    return client


async def refused_as(kind, call, what):
    try:
        await call
    except kind as error:
        check(type(error) is kind, f"{what} refused as {kind.__name__}")
        return
    raise AssertionError(f"{what} was not refused")


async def trade(venue):
    client = exchange(venue)
    try:
        markets = await client.load_markets()
        check(SYMBOL in markets, "load_markets")
        check(markets[SYMBOL]["precision"]["price"] == 0.01, "the tick is known")

        book = await client.fetch_order_book(SYMBOL, 100)
        check(book["bids"] and book["asks"] and book["bids"][0][0] < book["asks"][0][0], "fetch_order_book")
        low = client.price_to_precision(SYMBOL, book["bids"][0][0] * 0.9)
        high = client.price_to_precision(SYMBOL, book["asks"][0][0] * 1.05)

        resting = await client.create_order(SYMBOL, "limit", "buy", 0.01, float(low), {"postOnly": True})
        check(resting["id"] is not None and resting["status"] in ("open", None), "create_order postOnly")
        await refused_as(
            ccxt.OrderImmediatelyFillable,
            client.create_order(SYMBOL, "limit", "buy", 0.01, float(high), {"postOnly": True}),
            "a crossing postOnly order",
        )
        fetched = await client.fetch_order(resting["id"], SYMBOL)
        check(fetched["status"] == "open" and fetched["price"] == float(low), "fetch_order")
        check([o["id"] for o in await client.fetch_open_orders(SYMBOL)] == [resting["id"]], "fetch_open_orders")
        cancelled = await client.cancel_order(resting["id"], SYMBOL)
        check(cancelled["status"] == "canceled", "cancel_order")
        await refused_as(ccxt.OrderNotFound, client.cancel_order(resting["id"], SYMBOL), "a second cancel")

        before = await client.fetch_balance()
        market = await client.create_order(SYMBOL, "market", "buy", 0.002)
        check(market["status"] == "closed" and market["filled"] == 0.002, "market order filled")
        trades = await client.fetch_my_trades(SYMBOL)
        own = [t for t in trades if t["order"] == market["id"]]
        check(sum(t["amount"] for t in own) == 0.002 and own[0]["takerOrMaker"] == "taker", "fetch_my_trades")
        after = await client.fetch_balance()
        paid = before["USDT"]["total"] - after["USDT"]["total"]
        check(abs(paid - market["cost"]) < 1e-6, "fetch_balance shows what was paid")

        await refused_as(
            ccxt.InsufficientFunds, client.create_order(SYMBOL, "limit", "buy", 1000, float(low)), "an unaffordable order"
        )
        await refused_as(
            ccxt.BadRequest, client.create_order(SYMBOL, "limit", "buy", 0.00001, float(low)), "an order below the least notional"
        )
        edited = await client.create_order(SYMBOL, "limit", "buy", 0.01, float(low))
        edited = await client.edit_order(edited["id"], SYMBOL, "limit", "buy", 0.02, float(low))
        check(edited["amount"] == 0.02, "edit_order by cancelReplace")
        check(len(await client.cancel_all_orders(SYMBOL)) == 1, "cancel_all_orders")
        fee = await client.fetch_trading_fee(SYMBOL)
        check(fee["maker"] == 0.001, "fetch_trading_fee")

        for _ in range(3):
            watched = await asyncio.wait_for(client.watch_order_book(SYMBOL), STEP_SECONDS)
        check(watched["bids"][0][0] < watched["asks"][0][0], "watch_order_book")
        seen = await asyncio.wait_for(client.watch_trades(SYMBOL), STEP_SECONDS)
        check(seen and seen[-1]["price"] > 0, "watch_trades")

        watching = asyncio.ensure_future(asyncio.wait_for(client.watch_orders(SYMBOL), STEP_SECONDS))
        await asyncio.sleep(1)
        placed = await client.create_order(SYMBOL, "limit", "buy", 0.01, float(low), {"postOnly": True})
        reports = await watching
        check(any(report["id"] == placed["id"] and report["status"] == "open" for report in reports), "watch_orders")

        by_socket = await asyncio.wait_for(
            client.create_order_ws(SYMBOL, "limit", "buy", 0.01, float(low), {"postOnly": True}), STEP_SECONDS
        )
        gone = await asyncio.wait_for(client.cancel_order_ws(by_socket["id"], SYMBOL), STEP_SECONDS)
        check(gone["id"] == by_socket["id"], "create_order_ws and cancel_order_ws")
        await client.cancel_order(placed["id"], SYMBOL)
        check(await client.fetch_open_orders(SYMBOL) == [], "nothing is left open")
    finally:
        await client.close()


async def wrong_secret(venue):
    client = exchange({**venue, "api_secret": venue["api_secret"][::-1]})
    try:
        await refused_as(ccxt.AuthenticationError, client.fetch_balance(), "a wrong secret")
    finally:
        await client.close()


async def with_ed25519(venue):
    client = exchange(venue, "ed25519_api_key", "ed25519_private_key")
    try:
        balance = await client.fetch_balance()
        check(balance["USDT"]["total"] > 0, "fetch_balance with an Ed25519 key")
    finally:
        await client.close()


async def main():
    venue = json.loads(sys.stdin.readline())
    print("ccxt", ccxt.__version__, flush=True)
    await trade(venue)
    await wrong_secret(venue)
    await with_ed25519(venue)


asyncio.run(main())
