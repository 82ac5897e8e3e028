# The other side, written with oslo.messaging itself: a server on topic q-plugin. `ask` makes it call or tell us.
import sys

import oslo_messaging
from oslo_config import cfg

conf = cfg.CONF
conf([], project="peer")
oslo_messaging.set_transport_defaults("neutron")
options = "?kombu_compression=" + sys.argv[2] if len(sys.argv) > 2 else ""
transport = oslo_messaging.get_rpc_transport(conf, url=sys.argv[1] + options)


class Plugin:
    target = oslo_messaging.Target(version="1.1")

    def echo(self, ctxt, **kwargs):
        return kwargs

    def context(self, ctxt):
        return ctxt

    def fail(self, ctxt, text):
        raise ValueError(text)

    def ask(self, ctxt, topic, server, fanout, how, version, method, args, monitor=None):
        target = oslo_messaging.Target(topic=topic, version="1.0")
        client = oslo_messaging.RPCClient(transport, target, timeout=20, call_monitor_timeout=monitor)
        client = client.prepare(server=server, fanout=fanout, version=version)
        try:
            return ["ok", getattr(client, how)({"user_id": "u"}, method, **args)]
        except oslo_messaging.RemoteError as error:
            return ["failed", error.exc_type, str(error.value)]
        except Exception as error:  # known here, so made again as what it was there
            return ["failed", type(error).__name__, str(error).splitlines()[0]]


target = oslo_messaging.Target(topic="q-plugin", server="ctl")
server = oslo_messaging.get_rpc_server(transport, target, [Plugin()], executor="threading")
server.start()
print("listening", flush=True)
server.wait()
