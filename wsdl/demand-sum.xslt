<?xml version="1.0" encoding="UTF-8"?>
<!-- GetDemand: the whole Wh of all devices, period by period. A sum of sums is a sum, so there is one form.
     format-number, because XSLT 1.0 counts in doubles and prints a large one with an exponent. -->
<xsl:stylesheet version="1.0" g:forms="same" exclude-result-prefixes="g"
    xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:g="urn:gossip-ws:2026" xmlns:m="urn:gossip-ws:2026:metering">
  <xsl:template match="/">
    <xsl:variable name="demand" select="/g:Replies/g:Reply/m:GetDemandResponse/m:GetDemandResult/m:Demand"/>
    <m:GetDemandResponse>
      <m:GetDemandResult>
        <xsl:if test="$demand">
          <m:Demand>
            <m:category>
              <xsl:choose>
                <xsl:when test="$demand/m:category != $demand/m:category">mixed</xsl:when>
                <xsl:otherwise><xsl:value-of select="$demand/m:category"/></xsl:otherwise>
              </xsl:choose>
            </m:category>
            <m:energyWh><xsl:value-of select="format-number(sum($demand/m:energyWh[1]), '0')"/></m:energyWh>
            <m:energyWh><xsl:value-of select="format-number(sum($demand/m:energyWh[2]), '0')"/></m:energyWh>
            <m:energyWh><xsl:value-of select="format-number(sum($demand/m:energyWh[3]), '0')"/></m:energyWh>
          </m:Demand>
        </xsl:if>
      </m:GetDemandResult>
    </m:GetDemandResponse>
  </xsl:template>
</xsl:stylesheet>
