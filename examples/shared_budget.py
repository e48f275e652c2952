"""Share one hour's 1800 requests between two sessions, and tell who spent what.

littlebits serve --simulate 4        # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/shared_budget.py

Shared: the requests, their order (commands go before streams), and the wait after the server said 429. Each session
keeps its own connections, token, timeouts and retries. A bucket is of one process, and of one key.
"""

import asyncio
import sys

from littlebits_async import InputReactor, LittleBitsError, Session, TokenBucket


async def main() -> None:
    """Watch with one session, act with another, and print the bill of both."""
    budget = TokenBucket()
    async with (
        Session(budget=budget) as watching,
        Session(budget=budget, max_wait=1.0, timeout=3.0) as acting,  # in a hurry, or not at all
    ):
        devices = [device for device in await watching.devices() if device.is_connected]
        if not devices:  # those that are off line would be waited for in vain
            sys.exit("shared_budget: this cloud has no cloudBit on line; `littlebits serve --simulate 4` has four")
        async with InputReactor(watching, devices) as reactor:
            waiting = {device.id for device in devices}
            async for event in reactor:
                if event.device_id in waiting:  # its first event
                    waiting.remove(event.device_id)
                    await acting.output(event.device_id, event.percent)
                if not waiting:
                    break
        report = await budget.report()
        for (priority, label), count in report.spent.items():
            print(f"{count:5} {priority.name.lower():8} {label}")
        print(f"{report.elsewhere:5} by other programs, as the server says")
        print(f"{report.available:5} of {report.limit} are left for both")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
    except LittleBitsError as exc:
        sys.exit(f"shared_budget: {exc}")
