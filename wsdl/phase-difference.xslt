<?xml version="1.0" encoding="UTF-8"?>
<!-- GetMeasurement: the largest difference of phase angles, in degrees, given as the phaseAngle of the answer.
     The difference of differences says nothing, so two forms: a partial keeps the smallest and the largest
     angle, and only the final one subtracts. Voltage and power, which the response must have, read 0.
     The range is that of -180 to 180: angles on both sides of 180 are far apart here. -->
<xsl:stylesheet version="1.0" g:forms="partial final" exclude-result-prefixes="g"
    xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:g="urn:gossip-ws:2026" xmlns:m="urn:gossip-ws:2026:metering">
  <xsl:param name="phase"/>
  <xsl:template match="/">
    <xsl:choose>
      <xsl:when test="$phase = 'partial'">
        <g:Angles>
          <xsl:for-each select="/g:Replies/g:Reply//m:phaseAngle | /g:Replies/g:Reply/g:Angles/g:Angle">
            <xsl:sort select="." data-type="number"/>
            <xsl:if test="position() = 1 or position() = last()">
              <g:Angle><xsl:value-of select="."/></g:Angle>
            </xsl:if>
          </xsl:for-each>
        </g:Angles>
      </xsl:when>
      <xsl:otherwise>
        <xsl:variable name="angles" select="/g:Replies/g:Reply/g:Angles/g:Angle"/>
        <m:GetMeasurementResponse>
          <m:GetMeasurementResult>
            <xsl:if test="$angles">
              <m:Measurement>
                <m:voltage>0</m:voltage>
                <m:phaseAngle><xsl:value-of select="format-number($angles[last()] - $angles[1], '0.######')"/></m:phaseAngle>
                <m:power>0</m:power>
              </m:Measurement>
            </xsl:if>
          </m:GetMeasurementResult>
        </m:GetMeasurementResponse>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>
</xsl:stylesheet>
