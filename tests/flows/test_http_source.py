"""An HTTP service is dialled, and probed, from the address that the configuration names."""

from __future__ import annotations

from running_router import HttpService, Line, config, credit, field, http, running

GOOD = http({"message": "credit.response", "header": {"response_code": "0000"}, "body": {"amount": "30000000", "memo": "memo"}})


async def test_an_http_service_is_dialled_and_probed_from_its_source_address() -> None:
    seen: set[str] = set()

    async def answers(line: Line, head: bytes) -> None:
        seen.add(f"{line.stream.socket.getpeername()[0]} {head.split()[0].decode()}")
        await line.sends(GOOD)

    async with HttpService(answers) as rest:
        own = f'[services.rest]\nurl = "http://{rest.address}/"\nsource = "127.0.0.7"\ntimeout = "900ms"\nhealth = {{ probe = "http", interval = "20ms" }}\n'
        text = config(more=f'{own}[[routes]]\nlistener = "companies"\nservice = "rest"\ndefault = true\n')
        async with running(text) as router:
            await router.until(lambda: seen == {"127.0.0.7 GET"}, "a probe")
            client = await router.connect()
            assert field(await client.asks(credit(1)), "response_code") == "0000"
    assert seen == {"127.0.0.7 GET", "127.0.0.7 POST"}
