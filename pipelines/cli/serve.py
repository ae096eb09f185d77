"""`naslora serve`: models behind a web page on this machine."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import socket

    from pipelines.serve.guard import HostRule


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; other machines can reach other ones.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = 8000,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name by which the server may be called; may be repeated.")
    ] = None,
    max_upload: Annotated[float, typer.Option(min=0.1, help="Largest image file, in MB.")] = 32,
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait; more are told to come again.")] = 32,
    models_in_memory: Annotated[
        int, typer.Option(min=1, help="Whole models that are kept loaded, and adapters on the base.")
    ] = 3,
    log: Annotated[bool, typer.Option("--log", help="Print a line for every request.")] = False,
) -> None:
    """Show a page where images are dropped and models compared, with an endpoint for programs.

    Images stay in memory and are forgotten with the answer. There is no login: whoever reaches the port can use it.
    """
    _require_extra()
    import uvicorn

    from naslora_core.config import load_params
    from naslora_core.sam.inference import Inference
    from pipelines.run.inputs import project_root
    from pipelines.serve.app import Settings, create_app
    from pipelines.serve.offers import find_offers

    root = project_root()
    params = load_params(root / "params.yaml")
    model = params.model.model_copy(update={"checkpoint": root / params.model.checkpoint})
    names = list(find_offers(root, model))
    listening, rule = _listen(host, port), _host_rule(host, allow_host or [])
    inference = Inference(params.evaluate.flips, params.evaluate.overlap)
    threshold = params.evaluate.threshold
    app = create_app(Settings(root, model, threshold, rule, int(max_upload * 1e6), queue, models_in_memory, inference))
    config = uvicorn.Config(
        app, log_level="info" if log else "warning", access_log=log, server_header=False, ws="none",
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    typer.echo(f"Models: {', '.join(names) or 'none yet; start naslora run'}")
    typer.echo(f"Next: open {address} in a browser; Ctrl-C ends the server")
    # Raised anew after everything has been put away.
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
    typer.echo("stopped")


def _require_extra() -> None:
    """Check that the extra `serve` is installed: without python-multipart every upload would fail."""
    from importlib.util import find_spec

    from naslora_core.errors import PipelineError

    if missing := [name for name in ("fastapi", "python_multipart", "uvicorn") if find_spec(name) is None]:
        raise PipelineError(f"naslora serve needs {', '.join(missing)}; install with: pip install 'naslora[serve]'")


def _listen(host: str, port: int) -> "socket.socket":
    import socket

    from naslora_core.errors import ConfigError

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host}, port {port}: {error.strerror}; choose another --port") from error


def _host_rule(host: str, allowed: list[str]) -> "HostRule":
    import socket

    from pipelines.serve.guard import LOOPBACK_NAMES, HostRule

    names = LOOPBACK_NAMES | {name.lower() for name in allowed}
    if host in LOOPBACK_NAMES:
        return HostRule(names)
    typer.echo(f"warning: whoever reaches {host} can send images; there is no login and no encryption", err=True)
    return HostRule(names | {host.lower(), socket.gethostname().lower()}, takes_addresses=True)
