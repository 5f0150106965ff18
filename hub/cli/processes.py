"""The processes of the hub: all together with ``up``, or one by one."""
from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from threading import Thread

import click
from rich.console import Console

from hub import demo
from hub.cli import opened, settings_of
from hub.cli.gateway import open_many_files, until_asked_to_stop
from hub.context import open_hub
from hub.flow import administration, jobs, schedule
from hub.queue import runner
from hub.settings import Settings
from hub.supervisor import Supervisor

# Rooms that hub may not import are found by name (docs/decisions/0002).
WEB = "reading_ui.wsgi:from_environment"
LOBBY = "reading_ui.lobby.LobbyWorker"
WEB_CONNECTIONS = 1200        # more than reading_ui.lobby lets wait, each in its place


@click.command()
@click.option("--demo", "samples", type=click.Path(path_type=Path, file_okay=False),
              help="make the demo county on first start and send this folder through the real doors")
@click.pass_context
def up(context: click.Context, samples: Path | None) -> None:
    """Start everything: web, DICOM gateway, workers, scheduler and the embedded Redis. Ctrl-C stops it."""
    settings = settings_of(context)
    if context.find_root().obj:
        os.environ["HUB_SETTINGS"] = str(Path(context.find_root().obj).absolute())
    console = Console(highlight=False, soft_wrap=True)
    county = None
    with opened(context) as hub:
        administration.note_settings(hub)
        if samples is not None:
            county = demo.make_county(hub)
    supervisor = Supervisor(settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, supervisor.ask_to_stop)
    try:
        with console.status("正在启动 …") as status:
            supervisor.start(lambda name: status.update(f"正在启动：{name} 已就绪"))
        _say_where(console, settings, county)
        if samples is not None and county is not None:
            Thread(target=_send_samples, args=(console, settings, county, samples), daemon=True).start()
        supervisor.watch()
        console.print("正在停止 … stopping")
    finally:
        supervisor.end()
    console.print("已全部停止，数据保存在 " + str(settings.folder))


@click.command()
@click.pass_context
def web(context: click.Context) -> None:
    """Run the web server (gunicorn, one process with threads)."""
    settings = settings_of(context)
    open_many_files()
    arguments = ["gunicorn", "--bind", f"{settings.web_host}:{settings.web_port}", "--worker-class", LOBBY, "--workers", "1",
                 "--threads", str(settings.web_threads), "--worker-connections", str(WEB_CONNECTIONS), "--no-sendfile", "--timeout", "120", "--graceful-timeout", "10", "--keep-alive", "30",
                 "--forwarded-allow-ips", "*" if settings.trusted_proxies else "127.0.0.1",
                 "--worker-tmp-dir", "/dev/shm" if os.path.isdir("/dev/shm") else str(settings.folder),
                 "--access-logfile", "/dev/null", "--no-control-socket", f"{WEB}()"]
    os.execv(sys.executable, [sys.executable, "-m", *arguments])


@click.command()
@click.pass_context
def worker(context: click.Context) -> None:
    """Run one worker process."""
    runner.work(settings_of(context), jobs.modules())


@click.command()
@click.pass_context
def scheduler(context: click.Context) -> None:
    """Run the scheduler: it closes quiet studies, hands over jobs and watches deadlines."""
    stop = until_asked_to_stop()
    hub = open_hub(settings_of(context))
    schedule.run_forever(hub, stop)
    hub.close()


def _say_where(console: Console, settings: Settings, county: demo.County | None) -> None:
    console.print(f"\n[bold]{settings.institution_zh}[/bold]")
    console.print(f"  网页 web      {settings.address}")
    console.print(f"  DICOM         AE {settings.dicom_ae_title}  端口 port {settings.dicom_port}")
    console.print(f"  ECG           POST {settings.address}/api/ecg")
    if county is not None:
        console.print("  演示账号 demo accounts")
        for username, password, what in county.people:
            console.print(f"    {username:<12} {password:<18} {what}")
        console.print(f"  演示设备 demo devices: AE {county.ae_title}；ECG token {county.ecg_token}")
    console.print("  Ctrl-C 停止 stops\n")


def _send_samples(console: Console, settings: Settings, county: demo.County, samples: Path) -> None:
    import_module("hub.cli.send").send_folder(
        settings, samples, ae_title=county.ae_title, token=county.ecg_token, console=console)
