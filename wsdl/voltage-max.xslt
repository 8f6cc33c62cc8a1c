<?xml version="1.0" encoding="UTF-8"?>
<!-- GetMeasurement: the one measurement with the largest voltage, whole. The largest of the largest is the
     largest, so there is one form. -->
<xsl:stylesheet version="1.0" g:forms="same" exclude-result-prefixes="g"
    xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:g="urn:gossip-ws:2026" xmlns:m="urn:gossip-ws:2026:metering">
  <xsl:template match="/">
    <m:GetMeasurementResponse>
      <m:GetMeasurementResult>
        <xsl:for-each select="/g:Replies/g:Reply/m:GetMeasurementResponse/m:GetMeasurementResult/m:Measurement">
          <xsl:sort select="m:voltage" data-type="number" order="descending"/>
          <xsl:if test="position() = 1"><xsl:copy-of select="."/></xsl:if>
        </xsl:for-each>
      </m:GetMeasurementResult>
    </m:GetMeasurementResponse>
  </xsl:template>
</xsl:stylesheet>
