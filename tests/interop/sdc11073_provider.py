"""A provider of sdc11073 with the smallest description that it takes, at a multicast port that is its argument.

Tells its address. It is published anew with each line of its input, in the bed that the line names if it names one;
of that it makes an event. It ends with its input.
"""

import sys
import uuid

from sdc11073.location import SdcLocation
from sdc11073.mdib import ProviderMdib
from sdc11073.provider import SdcProvider
from sdc11073.wsdiscovery import WSDiscovery
from sdc11073.xml_types.dpws_types import ThisDeviceType, ThisModelType

MESSAGE = "http://standards.ieee.org/downloads/11073/11073-10207-2017/message"
PARTICIPANT = "http://standards.ieee.org/downloads/11073/11073-10207-2017/participant"
SEQUENCE = f'SequenceId="{uuid.uuid4().urn}"'
MDIB = f"""<m:GetMdibResponse xmlns:m="{MESSAGE}" xmlns:p="{PARTICIPANT}" {SEQUENCE}
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><m:Mdib {SEQUENCE} MdibVersion="1">
  <p:MdDescription DescriptionVersion="1"><p:Mds Handle="mds"><p:SystemContext Handle="sc">
    <p:LocationContext Handle="lc"/></p:SystemContext></p:Mds></p:MdDescription>
  <p:MdState StateVersion="1"><p:State xsi:type="p:MdsState" DescriptorHandle="mds"/>
    <p:State xsi:type="p:SystemContextState" DescriptorHandle="sc"/></p:MdState></m:Mdib></m:GetMdibResponse>"""

discovery = WSDiscovery("127.0.0.1", multicast_port=int(sys.argv[1]))
discovery.start()
provider = SdcProvider(
    discovery,
    ThisModelType("Acme", "http://acme.example", "Pump", "1", "http://acme.example/pump", "http://acme.example"),
    ThisDeviceType("Bed 7", "1.0", "7"),
    ProviderMdib.from_string(MDIB.encode()),
    uuid.uuid4(),
)
provider.start_all(start_rtsample_loop=False)
provider.set_location(SdcLocation(fac="Hospital", poc="Ward", bed="7"))
sys.stdout.write(" ".join(provider.get_xaddrs()) + "\n")
sys.stdout.flush()
for line in sys.stdin:
    if bed := line.strip():
        provider.set_location(SdcLocation(fac="Hospital", poc="Ward", bed=bed))
    else:
        provider.publish()
provider.stop_all()
discovery.stop()
