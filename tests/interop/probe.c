/* probe HOST SCOPE: gSOAP's WS-Discovery client. It multicasts a Probe for devices of a scope out of the interface of
   HOST, and writes a line for each match, copies too: the plugin remembers no message ids. It speaks the generation
   that it was generated for: wsdd.h that of 2009/01, wsdd10.h that of 2005/04. */
#include <arpa/inet.h>
#include <stdio.h>
#include "wsddapi.h"
#include "wsdd.nsmap"

#ifdef SOAP_WSDD_2005
#define DEVICE "\"http://schemas.xmlsoap.org/ws/2006/02/devprof\":Device"
#else
#define DEVICE "\"http://docs.oasis-open.org/ws-dd/ns/dpws/2009/01\":Device"
#endif
#ifdef SOAP_WSA_2005
#define ADDRESS(of) (of)->wsa5__EndpointReference.Address
#else
#define ADDRESS(of) (of)->wsa__EndpointReference.Address
#endif

static int found;

static void told(const char *kind, const char *device, const char *types, const char *scopes, const char *xaddrs) {
    printf("%s %s %s %s %s\n", kind, device, types ? types : "", scopes ? scopes : "", xaddrs ? xaddrs : "");
    found++;
}

void wsdd_event_ProbeMatches(struct soap *soap, unsigned int instance, const char *sequence, unsigned int number,
                             const char *id, const char *relates_to, struct wsdd__ProbeMatchesType *matches) {
    (void)soap, (void)instance, (void)sequence, (void)number, (void)id, (void)relates_to;
    for (int n = 0; n < matches->__sizeProbeMatch; n++) {
        struct wsdd__ProbeMatchType *one = &matches->ProbeMatch[n];
        told("match", ADDRESS(one), one->Types, one->Scopes ? one->Scopes->__item : NULL, one->XAddrs);
    }
}

void wsdd_event_ResolveMatches(struct soap *soap, unsigned int instance, const char *sequence, unsigned int number,
                               const char *id, const char *relates_to, struct wsdd__ResolveMatchType *match) {
    (void)soap, (void)instance, (void)sequence, (void)number, (void)id, (void)relates_to;
    told("resolved", ADDRESS(match), match->Types, NULL, match->XAddrs);
}

void wsdd_event_Hello(struct soap *soap, unsigned int instance, const char *sequence, unsigned int number, const char *id,
                      const char *relates_to, const char *device, const char *types, const char *scopes,
                      const char *match_by, const char *xaddrs, unsigned int version) {
    (void)soap, (void)instance, (void)sequence, (void)number, (void)id, (void)relates_to, (void)device, (void)types;
    (void)scopes, (void)match_by, (void)xaddrs, (void)version;
}

void wsdd_event_Bye(struct soap *soap, unsigned int instance, const char *sequence, unsigned int number, const char *id,
                    const char *relates_to, const char *device, const char *types, const char *scopes,
                    const char *match_by, const char *xaddrs, unsigned int *version) {
    (void)soap, (void)instance, (void)sequence, (void)number, (void)id, (void)relates_to, (void)device, (void)types;
    (void)scopes, (void)match_by, (void)xaddrs, (void)version;
}

soap_wsdd_mode wsdd_event_Probe(struct soap *soap, const char *id, const char *reply_to, const char *types,
                                const char *scopes, const char *match_by, struct wsdd__ProbeMatchesType *matches) {
    (void)soap, (void)id, (void)reply_to, (void)types, (void)scopes, (void)match_by, (void)matches;
    return SOAP_WSDD_ADHOC;
}

soap_wsdd_mode wsdd_event_Resolve(struct soap *soap, const char *id, const char *reply_to, const char *device,
                                  struct wsdd__ResolveMatchType *match) {
    (void)soap, (void)id, (void)reply_to, (void)device, (void)match;
    return SOAP_WSDD_ADHOC;
}

int SOAP_ENV__Fault(struct soap *soap, char *code, char *string, char *actor, struct SOAP_ENV__Detail *detail,
                    struct SOAP_ENV__Code *code12, struct SOAP_ENV__Reason *reason, char *node, char *role,
                    struct SOAP_ENV__Detail *detail12) {
    (void)soap, (void)code, (void)string, (void)actor, (void)detail, (void)code12, (void)reason, (void)node, (void)role;
    (void)detail12;
    return SOAP_OK;
}

int main(int count, char **arguments) {
    struct soap *soap = soap_new1(SOAP_IO_UDP | SOAP_C_UTFSTRING);
    struct in_addr interface;
    const char *group = "soap.udp://239.255.255.250:3702";
    if (count < 3 || inet_pton(AF_INET, arguments[1], &interface) != 1)
        return 2;
    soap->ipv4_multicast_if = (char *)&interface;
    if (!soap_valid_socket(soap_bind(soap, arguments[1], 0, 10))) {
        soap_print_fault(soap, stdout);
        return 1;
    }
    if (soap_wsdd_Probe(soap, SOAP_WSDD_ADHOC, SOAP_WSDD_TO_TS, group, soap_wsa_rand_uuid(soap), NULL,
                        DEVICE, arguments[2], NULL)) {
        soap_print_fault(soap, stdout);
        return 1;
    }
    for (int turns = 0; !found && turns < 10; turns++)
        if (soap_wsdd_listen(soap, 1)) {
            soap_print_fault(soap, stdout);
            return 1;
        }
    soap_destroy(soap);
    soap_end(soap);
    soap_free(soap);
    return found ? 0 : 1;
}
